// The names and addresses of every cluster; each has network namespaces of its own, so they are always the same.

export const nodeName = 'node1';

export const addresses = {
  node: '192.168.77.1',
  /** The node's where it is another machine (guest.ts); the control plane stays where it is. */
  guest: '192.168.77.2',
  /** As pods see the API server; no kube-proxy is needed, because it is an address of the node. */
  apiserver: '10.96.0.1',
  services: '10.96.0.0/24',
} as const;
