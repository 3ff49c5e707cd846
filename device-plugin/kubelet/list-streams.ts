// The open ListAndWatch calls of one resource. Each gets the complete list at once, and again when it differs from the last one that it got.
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Empty__Output } from '../../proto/generated/v1beta1/Empty.ts';
import type { ListAndWatchResponse } from '../../proto/generated/v1beta1/ListAndWatchResponse.ts';

export type ListCall = ServerWritableStream<Empty__Output, ListAndWatchResponse>;

export interface ListStreams {
  readonly count: number;
  add(call: ListCall): void;
  /** Looks at the list again soon. Many changes within milliseconds become one message. */
  publish(): void;
  /** Sends the list even if it did not change. Kubelet may have acted on something that we don't know, or it has to write its checkpoint. */
  repeat(): void;
  /** Sends what has changed, and ends every stream. */
  end(): void;
}

interface Stream {
  readonly call: ListCall;
  /** The last list written, as JSON. */
  sent: string | undefined;
  writing: boolean;
}

/** `list` returns the present list. `changed` is called when a stream opens or closes. */
export function makeListStreams(list: () => ListAndWatchResponse, changed: () => void): ListStreams {
  const streams = new Set<Stream>();
  let pending: NodeJS.Timeout | undefined;

  function pumpAll(): void {
    clearTimeout(pending);
    pending = undefined;
    if (streams.size === 0) return;
    const message = list();
    const text = JSON.stringify(message);
    for (const stream of streams) pump(stream, message, text);
  }

  function pump(stream: Stream, message: ListAndWatchResponse, text: string): void {
    // A kubelet that reads slowly gets the newest list when it is ready, and none of those in between.
    if (stream.writing || stream.sent === text) return;
    stream.writing = true;
    stream.sent = text;
    stream.call.write(message, () => {
      stream.writing = false;
      publish();
    });
  }

  function publish(): void {
    pending ??= setTimeout(pumpAll, 10);
  }

  return {
    get count() {
      return streams.size;
    },
    add(call) {
      const stream: Stream = { call, sent: undefined, writing: false };
      const forget = (): void => {
        if (streams.delete(stream)) changed();
      };
      for (const event of ['cancelled', 'close', 'error', 'finish']) call.on(event, forget);
      if (call.cancelled) return;
      streams.add(stream);
      pumpAll();
      changed();
    },
    publish,
    repeat() {
      for (const stream of streams) stream.sent = undefined;
      publish();
    },
    end() {
      clearTimeout(pending);
      const message = list();
      const text = JSON.stringify(message);
      for (const stream of streams) {
        // This is written even while another message is being written, because there is no later chance.
        if (stream.sent !== text) stream.call.write(message);
        stream.sent = text;
        stream.call.end();
      }
    },
  };
}
