// The names that kubelet accepts for an extended resource. Pure. Source: IsExtendedResourceName in kubernetes/pkg/apis/core/v1/helper, which
// checks `requests.<name>` as a qualified name.

/** The prefix of the SR-IOV network device plugin's command line, for resources of its config.json that name none. */
export const defaultImportPrefix = 'intel.com';

/** Undefined for a good domain. Otherwise the problem, in words that follow the value. */
export function domainProblem(domain: string): string | undefined {
  const label = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
  if (domain.length > 253 - 'requests.'.length) return `has ${domain.length} characters; kubelet takes at most 244`;
  if (!new RegExp(`^${label}(\\.${label})*$`).test(domain))
    return 'is not a domain; use lower-case words joined by dots, e.g. example.com';
  if (domain === 'kubernetes.io' || domain.endsWith('.kubernetes.io')) return "is Kubernetes' own; use a domain of yours";
  if (domain.startsWith('requests.')) return 'begins with requests., which kubelet keeps for quotas; use another domain';
  return undefined;
}

/** Undefined for a good name (the part after the slash). Otherwise the problem, in words that follow the value. */
export function resourceNameProblem(name: string): string | undefined {
  if (name.includes('/')) return 'has a slash in it; write the part before it as resourcePrefix';
  if (/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(name)) return undefined;
  return 'is not a resource name kubelet takes; use 1-63 letters, digits, - _ . and begin and end with a letter or digit';
}
