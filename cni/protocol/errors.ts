// The CNI error object (SPEC section 5). The numbers of its codes are only here.
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import { Refusal } from '../../network/refusal.ts';

export const codes = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  badEnvironment: 4,
  io: 5,
  decode: 6,
  invalidConfig: 7,
  /** Known to Go's libcni, but not in the SPEC's table: the namespace is the runtime's own. */
  invalidNetns: 8,
  tryAgain: 11,
  /** STATUS: no ADD can succeed now. */
  unavailable: 50,
  /** STATUS: no ADD can succeed now, and running pods may be cut off. */
  impaired: 51,
  /** Ours: the machine refused a step of the plug. */
  plugFailed: 100,
  /** Ours: the IPAM plugin failed without a code of its own, or its answer is not a result. */
  ipamFailed: 101,
  /** Ours: CHECK found the attachment broken. */
  broken: 102,
  internal: 999,
} as const;

export class CniError extends Error {
  override readonly name = 'CniError';
  readonly code: number;
  readonly details: string | undefined;

  constructor(code: number, message: string, options: { readonly details?: string; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.details = options.details;
  }
}

const refusals: Readonly<Record<Refusal['kind'], number>> = {
  'unknown key': codes.unsupportedField,
  'bad value': codes.invalidConfig,
};

/** Gives any failure a code. A coded error stays as it is, Unavailable is "try again", a refusal has its own code, and the rest gets `code`. */
export function coded(error: unknown, code: number = codes.internal): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof Unavailable) return new CniError(codes.tryAgain, error.message, { cause: error });
  if (error instanceof Refusal) return new CniError(refusals[error.kind], error.message, { cause: error });
  return new CniError(code, messageOf(error), { cause: error });
}

/** The error object as it is printed on stdout. `details` contains the causes, the outermost first. */
export function renderError(error: CniError, cniVersion: string): string {
  const details = error.details ?? causes(error);
  return JSON.stringify({ cniVersion, code: error.code, msg: error.message, ...(details ? { details } : {}) });
}

function causes(error: Error): string {
  const texts = new Set<string>();
  let { cause } = error;
  // The depth has a limit, because causes can form a circle.
  for (let depth = 0; cause instanceof Error && depth < 5; depth++) {
    if (cause.message !== error.message) texts.add(cause.message);
    cause = cause.cause;
  }
  return [...texts].join(': ');
}

/** The error for a file of ours. */
export function unwritable(path: string, error: unknown): CniError {
  const message = `${path} can't be written: ${messageOf(error)}; is there room on its disk, and is it writable?`;
  return new CniError(codes.io, message, { cause: error });
}
