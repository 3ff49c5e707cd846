// How a pool's numaPolicy uses a VF's NUMA node. Pure. The policies are Nova's; kubelet's Topology Manager gets them as TopologyInfo.

export const numaPolicies = ['required', 'socket', 'preferred', 'none'] as const;
export type NumaPolicy = (typeof numaPolicies)[number];

/** For each NUMA node, all nodes of its processor socket, including itself. */
export type Sockets = ReadonlyMap<number, readonly number[]>;

/**
 * The NUMA nodes to tell kubelet. Undefined when this policy forbids to offer the VF, because the machine doesn't say where it is.
 * `required`: its node. `socket`: every node of its socket. `preferred`: its node if it has one. `none`: no node.
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
