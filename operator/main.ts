// `smartnic COMMAND`: one name for all that a person asks of a node. Each side answers its own questions.

const cni = () => import('../cni/main.ts');
const devicePlugin = () => import('../device-plugin/main.ts');

const commands = {
  vfs: [devicePlugin, 'every VF: where it is, who offers it, who has it, what is wrong with it'],
  explain: [devicePlugin, 'PCI-ADDRESS: which selector or guard keeps a VF out of each pool'],
  attachments: [cni, 'every pod interface: where it is plugged, and whether it is well'],
  doctor: [cni, 'all that a node needs, and what to do where it lacks something'],
  repair: [cni, 'take away what crashes and reboots left; --dry-run: only say what that would be'],
} as const;

const command = process.argv[2] ?? '--help';
if (isKnown(command)) await commands[command][0]();
else if (command === '--help' || command === '-h') process.stdout.write(usage());
else {
  process.stderr.write(`smartnic: unknown command "${command}"; known are ${Object.keys(commands).join(', ')}\n`);
  process.exitCode = 1;
}

function isKnown(text: string): text is keyof typeof commands {
  return Object.hasOwn(commands, text);
}

function usage(): string {
  const lines = Object.entries(commands).map(([name, [, help]]) => `  ${name.padEnd(14)}${help}\n`);
  return `usage: smartnic COMMAND [FLAGS]; smartnic COMMAND --help shows the flags\n\n${lines.join('')}`;
}
