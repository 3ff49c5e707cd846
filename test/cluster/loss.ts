// A runtime that loses a pod: no DEL comes for it, then or later. And how our server counts what it was asked and what it swept.
import type { Cluster } from './cluster.ts';

/** Kubelet must not run. containerd has forgotten the pod once it is restarted; the pod's network namespace stays, as a mount. @returns the namespace's name. */
export async function lose(cluster: Cluster, name: string): Promise<string> {
  const said = await cluster.sh(`
    ovs-vsctl --bare --columns=external_ids find Interface external_ids:iface-id=test_${name}_net1
    for id in $(ctr -n k8s.io containers list --quiet 'labels."io.kubernetes.pod.name"==${name}'); do
      ctr -n k8s.io tasks kill --signal KILL $id
      while ctr -n k8s.io tasks list --quiet | grep -q $id; do sleep 0.1; done
      ctr -n k8s.io containers delete $id
      ! ctr -n k8s.io sandboxes list | grep -q $id || ctr -n k8s.io sandboxes remove --force $id
    done 2> /dev/null`);
  const [, namespace] = /contNetns=\S*\/(\S+)/.exec(said) ?? [];
  if (namespace === undefined) throw new Error(`no port tells the network namespace of pod ${name}: ${said}`);
  return namespace;
}

/** How often our CNI server was asked for a DEL, and how much its sweeps have removed. */
export async function counts(cluster: Cluster): Promise<{ readonly deletions: number; readonly swept: number }> {
  const text = await cluster.sh(`exec 3<>/dev/tcp/127.0.0.1/9478; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`);
  const sum = (name: RegExp) => [...text.matchAll(name)].reduce((total, [, count]) => total + Number(count), 0);
  return {
    deletions: sum(/^smartnic_cni_request_seconds_count\{command="DEL".*\} (\d+)$/gm),
    swept: sum(/^smartnic_cni_swept_total\{result="removed"\} (\d+)$/gm),
  };
}

/** Makes our CNI server sweep now. @returns what it says. */
export async function repair(cluster: Cluster): Promise<string> {
  return await cluster.kubectl('-n', 'kube-system', 'exec', 'daemonset/smartnic', '-c', 'cni', '--', 'smartnic.mjs', 'repair');
}
