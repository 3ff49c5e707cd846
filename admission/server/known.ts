// What admission is told about the cluster by files, which a ConfigMap mount replaces: the pools, and the main network if it is one of ours.
import { basename, dirname } from 'node:path';
import type { Logger } from '../../host/base/log.ts';
import { followTexts } from '../../host/files/follow-text.ts';
import { parseConfig } from '../../inventory/config/config.ts';
import type { Known } from './review.ts';

export interface Files {
  /** Paths. Absent files are nothing to complain of: then it is not known which resources there are. */
  readonly pools: string;
  readonly mainNetwork: string;
  readonly log: Logger;
}

export interface Following {
  known(): Known;
  close(): void;
}

export function followKnown({ pools, mainNetwork, log }: Files): Following {
  let known: Known = {};
  const offered = (text: string | undefined) => {
    if (text === undefined) return undefined;
    return new Set(parseConfig(pools, text).pools.flatMap(({ resources }) => resources.map(({ name }) => name)));
  };
  const watches = [
    followTexts({
      ...{ directory: dirname(pools), names: [basename(pools)], log },
      changed: ([text]) => {
        known = { ...known, offered: offered(text) };
        log.info({ resources: [...(known.offered ?? [])] }, 'the pools were read');
      },
    }),
    followTexts({
      ...{ directory: dirname(mainNetwork), names: [basename(mainNetwork)], log },
      changed: ([text]) => {
        known = { ...known, mainNetwork: { namespace: '', name: '', annotations: {}, config: text } };
      },
    }),
  ];
  return {
    known: () => known,
    close: () => {
      for (const each of watches) each.close();
    },
  };
}
