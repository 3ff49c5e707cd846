// Importing this file extends the PATH: the Node that runs this comes before the machine's own, and the folders of an administrator's PATH are
// added, with programs such as ip and ovs-vswitchd.
import { dirname } from 'node:path';

const known = (process.env['PATH'] ?? '').split(':');
const more = ['/usr/local/sbin', '/usr/sbin', '/sbin'].filter((folder) => !known.includes(folder));
process.env['PATH'] = [dirname(process.execPath), ...known, ...more].join(':');
