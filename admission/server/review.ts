// AdmissionReview v1: unpack, look up what the pod names, decide (review/), and pack. Source: the Kubernetes documentation of admission webhooks.
import { z } from 'zod';
import { explain } from '../../host/base/explain.ts';
import type { NetworkObject, Networks } from '../../host/kube/networks.ts';
import type { Reply } from '../../host/program/https.ts';
import type { Definition } from '../../network/definition.ts';
import { Refusal } from '../../network/refusal.ts';
import { judgeDefinition, mutateDefinition } from '../review/definition.ts';
import { namedBy, type World } from '../review/interfaces.ts';
import { judgePod, mutatePod, type Verdict } from '../review/judge.ts';
import { type Pod, podShape } from '../review/pod.ts';
import type { Operation } from '../review/reserve.ts';

/** What is known of the cluster beside its networks. */
export type Known = Omit<World, 'definitions'>;

export interface Reviewer {
  readonly networks: Pick<Networks, 'find'>;
  readonly known: () => Known;
}

/** The paths of the webhook configurations. */
export const paths = {
  mutatePod: '/pods/mutate',
  judgePod: '/pods/validate',
  mutateNetwork: '/networks/mutate',
  judgeNetwork: '/networks/validate',
} as const;

type Answer = Verdict | { readonly patch: readonly Operation[] };
type Deciding = (reviewer: Reviewer, request: Request) => Promise<Answer>;

const deciding: Readonly<Record<string, Deciding>> = {
  [paths.mutatePod]: async (reviewer, request) => {
    const { pod, namespace } = podOf(request);
    return { patch: mutatePod(pod, namespace, await worldOf(reviewer, pod, namespace)) };
  },
  [paths.judgePod]: async (reviewer, request) => {
    const { pod, namespace } = podOf(request);
    return judgePod(pod, namespace, await worldOf(reviewer, pod, namespace));
  },
  [paths.mutateNetwork]: async (_, { object, namespace }) => ({ patch: mutateDefinition(definitionOf(object, namespace)) }),
  [paths.judgeNetwork]: async ({ known }, { object, oldObject, namespace }) => {
    if (leaving.safeParse(object).success) return { warnings: [] };
    const before = oldObject === null || oldObject === undefined ? undefined : definitionOf(oldObject, namespace);
    return judgeDefinition(definitionOf(object, namespace), known(), before);
  },
};

/** By path, as the server takes them. @param told - hears what came of each review. */
export function reviewing(reviewer: Reviewer, told: (path: string, refused: boolean) => void = () => {}) {
  return Object.fromEntries(
    Object.entries(deciding).map(([path, decide]) => [
      path,
      async (body: unknown): Promise<Reply> => {
        const parsed = reviewShape.safeParse(body);
        if (!parsed.success) return { status: 400, body: `this is no AdmissionReview: ${explain(parsed.error, body)}` };
        const { request } = parsed.data;
        const answer = await decide(reviewer, request);
        told(path, 'refusal' in answer && answer.refusal !== undefined);
        return { status: 200, body: packed(request.uid, answer) };
      },
    ]),
  );
}

const reviewShape = z.looseObject({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.looseObject({
    uid: z.string().min(1),
    namespace: z.string().default(''),
    object: z.unknown(),
    oldObject: z.unknown().optional(),
  }),
});

type Request = z.output<typeof reviewShape>['request'];

const definitionShape = z.looseObject({
  metadata: z.looseObject({
    name: z.string().default(''),
    namespace: z.string().optional(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.looseObject({ config: z.string().optional() }).nullish(),
});

/** It only waits for its finalizers, and nothing may keep it from going. */
const leaving = z.looseObject({ metadata: z.looseObject({ deletionTimestamp: z.string() }) });

function podOf({ object, namespace }: Request): { readonly pod: Pod; readonly namespace: string } {
  return { pod: parse(podShape, object, 'pod'), namespace };
}

function definitionOf(object: unknown, namespace: string): Definition {
  const { metadata, spec } = parse(definitionShape, object, 'NetworkAttachmentDefinition');
  return {
    namespace: metadata.namespace ?? namespace,
    name: metadata.name,
    annotations: metadata.annotations ?? {},
    config: spec?.config,
  };
}

const definitions = new WeakMap<NetworkObject, Definition>();

/** The same definition for the same object of the watch, so that it is read once (review/read.ts). */
function watched(object: NetworkObject, namespace: string): Definition {
  const definition = definitions.get(object) ?? definitionOf(object, namespace);
  definitions.set(object, definition);
  return definition;
}

/** The API server has decoded it, so anything else is no review of ours. */
function parse<T>(shape: z.ZodType<T>, object: unknown, what: string): T {
  const parsed = shape.safeParse(object);
  if (parsed.success) return parsed.data;
  throw new Error(`this is no ${what}: ${explain(parsed.error, object)}`);
}

/** The definitions that the pod names. @throws Unavailable when the API server can't be asked for one. */
async function worldOf({ networks, known }: Reviewer, pod: Pod, namespace: string): Promise<World> {
  const named = new Map(selectionsIn(pod, namespace).map((each) => [`${each.namespace}/${each.name}`, each]));
  const found = await Promise.all(
    [...named].map(async ([key, selection]) => {
      const object = await networks.find(selection);
      return object === undefined ? [] : [[key, watched(object, selection.namespace)] as const];
    }),
  );
  return { ...known(), definitions: new Map(found.flat()) };
}

/** None for a pod whose annotation can't be read, or that names more than anybody looks at (review/interfaces.ts says so). */
function selectionsIn(pod: Pod, namespace: string) {
  try {
    const all = namedBy(pod, namespace);
    return all.length > 100 ? [] : all;
  } catch (error) {
    if (error instanceof Refusal) return [];
    throw error;
  }
}

function packed(uid: string, answer: Answer): object {
  const patch = 'patch' in answer ? answer.patch : [];
  const { warnings = [], refusal } = 'patch' in answer ? {} : answer;
  return {
    ...{ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' },
    response: {
      ...{ uid, allowed: refusal === undefined },
      ...(refusal === undefined ? {} : { status: { code: 403, reason: 'Forbidden', message: refusal } }),
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(patch.length === 0 ? {} : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
    },
  };
}
