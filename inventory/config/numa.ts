// What a pool's numaPolicy makes of a vf's NUMA node. Pure; the policies are Nova's, told to kubelet's Topology Manager as TopologyInfo.

export const numaPolicies = ['required', 'socket', 'preferred', 'none'] as const;
export type NumaPolicy = (typeof numaPolicies)[number];

/** For each NUMA node all nodes of its processor socket, itself included. */
export type Sockets = ReadonlyMap<number, readonly number[]>;

/**
 * NUMA nodes to tell kubelet; undefined: the vf can't be offered under this policy, because the machine doesn't say where it is.
 * `required`: its node. `socket`: every node of its socket. `preferred`: its node if it has one. `none`: nothing.
 */
export function numaNodes(policy: NumaPolicy, node: number | undefined, sockets: Sockets): readonly number[] | undefined {
  switch (policy) {
    case 'required':
      return node === undefined ? undefined : [node];
    case 'socket':
      return node === undefined ? undefined : sockets.get(node);
    case 'preferred':
      return node === undefined ? [] : [node];
    case 'none':
      return [];
  }
}
