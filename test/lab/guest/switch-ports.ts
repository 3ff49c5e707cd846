// Runs in the guest: prints, as JSON, the switch ports that our program sees there.
import { readSwitchPorts } from '../../../host/switch-ports.ts';

console.log(JSON.stringify(readSwitchPorts({ root: '/' }, new Set())));
