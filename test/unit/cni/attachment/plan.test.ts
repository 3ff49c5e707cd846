import assert from 'node:assert/strict';
import { stableMac } from '../../../../cni/attachment/attachment.ts';
import { ipamCall, ovsdbOf, planAttachment, planPort } from '../../../../cni/attachment/plan.ts';
import { parseSettings } from '../../../../cni/attachment/settings.ts';
import { parseRequest, type Request } from '../../../../cni/protocol/request.ts';

const settings = { ...parseSettings('ovsdb: unix:/node\nipamTimeout: 7\n', 'config.yaml'), nodeName: 'n1' };
const context = { settings, bootId: 'boot-1' };

function request(config: object = {}, args = ''): Request {
  const env = {
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/run/netns/a',
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/a:/b',
    CNI_ARGS: args,
  };
  const stdin = { cniVersion: '1.0.0', name: 'tenant-a', type: 'smartnic', bridge: 'br0', ...config };
  return parseRequest(env, JSON.stringify(stdin));
}

describe('the plan of an attachment', () => {
  it('holds all that is needed to take it away again without the runtime', () => {
    const asked = request(
      { ipam: { type: 'host-local', subnet: '10.0.0.0/8' } },
      'K8S_POD_NAME=p;K8S_POD_NAMESPACE=ns;K8S_POD_UID=u',
    );
    const { since, began, id, bridgePort, ...plan } = planAttachment(context, asked, 'normal');
    assert.ok(Math.abs(Date.now() - Date.parse(since)) < 60_000);
    assert.ok(planAttachment(context, asked, 'normal').began > began);
    assert.equal(bridgePort, `sn${id}`);
    assert.deepEqual(plan, {
      network: 'tenant-a',
      containerId: 'c1',
      ifname: 'eth0',
      vnicType: 'normal',
      ovsdb: 'unix:/node',
      bridge: 'br0',
      netns: '/run/netns/a',
      pod: { podName: 'p', podNamespace: 'ns', podUid: 'u' },
      ipam: { type: 'host-local', path: ['/a', '/b'], env: asked.env, stdin: asked.stdin, timeout: 7000 },
      bootId: 'boot-1',
    });
  });

  it('has no IPAM call when the network has no ipam, or one without a type', () => {
    assert.equal(ipamCall(context, request()), undefined);
    assert.equal(ipamCall(context, request({ ipam: {} })), undefined);
    assert.equal('ipam' in planAttachment(context, request({ ipam: {} }), 'normal'), false);
  });

  it("takes the network's OVSDB before the node's", () => {
    assert.equal(ovsdbOf(context, request({ ovsdb: 'tcp:192.0.2.1:6640' })), 'tcp:192.0.2.1:6640');
    assert.equal(ovsdbOf(context, request()), 'unix:/node');
  });
});

describe('the plan of a port', () => {
  const bridge = { name: 'br0', datapathType: 'netdev' };
  const port = (asked: Request, mtu?: number) =>
    planPort(asked, planAttachment(context, asked, 'normal'), mtu === undefined ? bridge : { ...bridge, mtu });

  it('takes the MAC of the runtime, then of the pod by cni-args, then by CNI_ARGS, then of the network', () => {
    const mac = (digit: number) => `02:00:00:00:00:0${digit}`;
    const all = { runtimeConfig: { mac: mac(1) }, args: { cni: { mac: mac(2) } }, mac: mac(4), allowPodMac: true };
    assert.equal(port(request(all, `MAC=${mac(3)}`)).mac, mac(1));
    assert.equal(port(request({ ...all, runtimeConfig: {} }, `MAC=${mac(3)}`)).mac, mac(2));
    assert.equal(port(request({ mac: mac(4), allowPodMac: true }, `MAC=${mac(3)}`)).mac, mac(3));
    assert.equal(port(request({ mac: mac(4) })).mac, mac(4));
  });

  it('else has one that stays with the pod, or with the container where no pod is known', () => {
    assert.equal(port(request({}, 'K8S_POD_UID=u')).mac, stableMac('u', 'eth0'));
    assert.equal(port(request()).mac, stableMac('c1', 'eth0'));
  });

  it("takes the network's MTU, else the bridge's, else 1500", () => {
    assert.equal(port(request({ mtu: 9000 }), 1400).mtu, 9000);
    assert.equal(port(request(), 1400).mtu, 1400);
    assert.equal(port(request()).mtu, 1500);
  });

  it("knows the bridge's datapath and the names on both sides", () => {
    const { datapath, ifname, bridgePort, netns } = port(request());
    assert.deepEqual([datapath, ifname, netns], ['netdev', 'eth0', '/run/netns/a']);
    assert.match(bridgePort, /^sn[0-9a-f]{12}$/);
  });
});
