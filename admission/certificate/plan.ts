// What has to be made anew of a CA and a serving certificate, and when. Pure: keeper.ts does it.
import { createPrivateKey, X509Certificate } from 'node:crypto';

/** What the Secret holds, as PEM. */
export interface Material {
  /** CA certificates, the newest first. Callers trust all of them. */
  readonly authorities: readonly string[];
  /** The newest CA's. */
  readonly authorityKey?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export type Step = 'new authority' | 'new certificate';

export interface Moment {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly names: readonly string[];
  /** Milliseconds for which all callers have been told to trust the newest CA. Absent: they have not. */
  readonly trustedFor?: number | undefined;
  /** Milliseconds that callers may need to hear of it. */
  readonly settle: number;
}

export function nextStep({ authorities, authorityKey, certificate, key }: Material, moment: Moment): Step | undefined {
  const { now, names, trustedFor, settle } = moment;
  const newest = parse(authorities[0]);
  if (newest === undefined || !matches(newest, authorityKey) || isDue(newest, now)) return 'new authority';
  const serving = parse(certificate);
  const signers = authorities.flatMap((each) => parse(each) ?? []);
  const usable =
    serving !== undefined &&
    matches(serving, key) &&
    !isOver(serving, now) &&
    covers(serving, names) &&
    isSigned(serving, signers);
  if (!usable) return 'new certificate';
  // Whoever calls with the old list of CAs must not meet a certificate of the new one.
  if (!isSigned(serving, [newest])) return (trustedFor ?? -1) >= settle ? 'new certificate' : undefined;
  return isDue(serving, now) ? 'new certificate' : undefined;
}

/** Whether it can be served at all; to a caller who trusts the CAs it is good until its end. */
export function canServe({ certificate, key }: Pick<Material, 'certificate' | 'key'>): boolean {
  const serving = parse(certificate);
  return serving !== undefined && matches(serving, key);
}

/** The end of a certificate, in milliseconds since 1970. */
export function endOf(certificate: string | undefined): number | undefined {
  return parse(certificate)?.validToDate.getTime();
}

/** With a new CA in front. The one before is still trusted, because its certificate is still served; older ones and ended ones go. */
export function withAuthority(
  { authorities }: Pick<Material, 'authorities'>,
  certificate: string,
  now: number,
): readonly string[] {
  const living = authorities.filter((each) => {
    const authority = parse(each);
    return authority !== undefined && !isOver(authority, now);
  });
  return [certificate, ...living.slice(0, 1)];
}

/** The certificates in a text of several. */
export function splitPem(text: string | undefined): readonly string[] {
  return (text ?? '').match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g)?.map((each) => `${each}\n`) ?? [];
}

/** A third of its life is left at most: time enough to repair what keeps it from being renewed. */
function isDue({ validFromDate, validToDate }: X509Certificate, now: number): boolean {
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
  return now > from + ((to - from) * 2) / 3;
}

function isOver({ validToDate }: X509Certificate, now: number): boolean {
  return now > validToDate.getTime();
}

function covers(certificate: X509Certificate, names: readonly string[]): boolean {
  return names.every((name) => certificate.checkHost(name) !== undefined);
}

function isSigned(certificate: X509Certificate, signers: readonly X509Certificate[]): boolean {
  return signers.some((signer) => certificate.verify(signer.publicKey));
}

function matches(certificate: X509Certificate, key: string | undefined): boolean {
  try {
    return key !== undefined && certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Undefined for what is no certificate: it is made anew. */
function parse(pem: string | undefined): X509Certificate | undefined {
  try {
    return pem === undefined ? undefined : new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
