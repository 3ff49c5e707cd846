// The error for a network or a pod that asks for something that can't be served. Its text is for the author of that network or pod.
// cni/protocol/errors.ts gives it a number for the runtime.

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly kind: 'unknown key' | 'bad value';

  constructor(message: string, { kind = 'bad value', ...options }: ErrorOptions & { readonly kind?: Refusal['kind'] } = {}) {
    super(message, options);
    this.kind = kind;
  }
}
