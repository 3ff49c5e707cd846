// An OVSDB server's address as Open vSwitch writes it. Pure. connection.ts connects.

export type OvsdbAddress =
  | { readonly kind: 'unix'; readonly text: string; readonly path: string }
  | { readonly kind: 'tcp' | 'ssl'; readonly text: string; readonly host: string; readonly port: number };

const network = /^(tcp|ssl):(?:\[([0-9a-fA-F:.%]+[^\]]*)\]|([^:[\]\s/]+)):(\d{1,5})$/;

/**
 * Reads `unix:/absolute/path`, `tcp:HOST:PORT`, `ssl:HOST:PORT`; an IPv6 host stands in brackets (`tcp:[::1]:6640`).
 * Throws on anything else, naming the value. Source: ovsdb(7), "Active Connection Methods"; the port is required here.
 */
export function parseOvsdbAddress(text: string): OvsdbAddress {
  if (/^unix:\/./.test(text)) return unix(text);
  const [, kind, bracketed, plain, digits] = network.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if ((kind !== 'tcp' && kind !== 'ssl') || host === undefined || port < 1 || port > 65_535) throw unreadable(text);
  return { kind, text, host, port };
}

/** A socket's path has at most 107 bytes (unix(7)). A longer one would be cut off, and would then name another file. */
function unix(text: string): OvsdbAddress {
  const path = text.slice('unix:'.length);
  if (Buffer.byteLength(path) <= 107) return { kind: 'unix', text, path };
  throw new Error(`the OVSDB address "${text}" is too long: a unix socket's path has at most 107 bytes`);
}

function unreadable(text: string): Error {
  return new Error(
    `"${text}" is not an OVSDB address; write unix:/absolute/path, tcp:HOST:PORT or ssl:HOST:PORT, an IPv6 host in brackets`,
  );
}
