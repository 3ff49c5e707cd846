// Importing this lets programs find each other: the Node that runs this before the machine's own, and what only an administrator's PATH has,
// such as ip and ovs-vswitchd.
import { dirname } from 'node:path';

const known = (process.env['PATH'] ?? '').split(':');
const more = ['/usr/local/sbin', '/usr/sbin', '/sbin'].filter((folder) => !known.includes(folder));
process.env['PATH'] = [dirname(process.execPath), ...known, ...more].join(':');
