// A network or a pod says something that can't be served. The text is for who wrote it; which number a runtime gets for it is decided
// where it is caught (cni/protocol/errors.ts).

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly kind: 'unknown key' | 'bad value';

  constructor(message: string, { kind = 'bad value', ...options }: ErrorOptions & { readonly kind?: Refusal['kind'] } = {}) {
    super(message, options);
    this.kind = kind;
  }
}
