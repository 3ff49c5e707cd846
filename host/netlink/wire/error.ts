// What the kernel answered instead of doing it.
import { describeErrno, errnoName } from '../../kernel/libc.ts';
import { attributeMap, type Message, readI32, readText, readU32 } from './codec.ts';

/** A netlink request that failed. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  /** The errno's name, such as `EEXIST`. */
  readonly code: string;
  readonly errno: number;
  readonly attempt: string;
  /** The kernel's own words (extended ACK), when it had any. */
  readonly kernel: string | undefined;

  /**
   * @param attempt - what was attempted, on which thing, where: `add route default to link 3 in /run/netns/x`.
   * @param hint - what is known beyond the kernel's answer, or what to do.
   */
  constructor(attempt: string, errno: number, kernel?: string, hint?: string) {
    const words = kernel ? ` (kernel: ${kernel})` : '';
    super(`${attempt}: ${describeErrno(errno)}${words}${hint ? `; ${hint}` : ''}`);
    this.code = errnoName(errno);
    this.errno = errno;
    this.attempt = attempt;
    this.kernel = kernel;
  }
}

/** The same failure, with more known about it. */
export function explained(error: NetlinkError, hint: string): NetlinkError {
  return new NetlinkError(error.attempt, error.errno, error.kernel, hint);
}

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

/** Whether nothing more follows for this sequence number. */
export function isEnd(message: Message): boolean {
  return message.type === NLMSG_ERROR || message.type === NLMSG_DONE;
}

/** The failure that an ending message tells of; undefined for an ACK and a complete list. */
export function failureIn(message: Message, attempt: string): NetlinkError | undefined {
  if (message.type === NLMSG_DONE && message.body.length < 4) return undefined;
  const errno = -readI32(message.body);
  return errno > 0 ? new NetlinkError(attempt, errno, kernelWords(message)) : undefined;
}

function kernelWords(message: Message): string | undefined {
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return undefined;
  const words = attributeMap(message.body.subarray(attributesAt(message))).get(NLMSGERR_ATTR_MSG);
  return words && readText(words);
}

/** An error's attributes stand behind the errno and the request, of which the kernel repeats all or (capped) only the header. */
function attributesAt(message: Message): number {
  if (message.type === NLMSG_DONE) return 4;
  if ((message.flags & NLM_F_CAPPED) !== 0) return 4 + 16;
  return 4 + ((readU32(message.body, 4) + 3) & ~3);
}
