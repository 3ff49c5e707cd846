// The error for a question of kubelet's that is answered with no. A user reads the text, because kubelet puts it into the rejected pod's event.

/** The gRPC status codes of our answers (google.rpc.Code). */
export const refusalCodes = {
  invalid: 3,
  notFound: 5,
  precondition: 9,
  aborted: 10,
  unavailable: 14,
} as const;

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: number;

  constructor(code: keyof typeof refusalCodes, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = refusalCodes[code];
  }
}
