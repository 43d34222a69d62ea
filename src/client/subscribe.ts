/** From `events()` to a subscription that lives until its stream ends. */
import type { Clock, Codec } from "../ports.js";
import { type Call, subscription } from "./call.js";
import type { Dispatcher } from "./dispatcher.js";
import { EventStream } from "./events.js";
import { callOptionNames, checkCallOptions, signalOf } from "./options.js";

/**
 * The stream subscribes when it is first read, and ends on abort and when the client is closed. `home`: the only
 * member whose events they are, or null.
 */
export function subscribe(
  dispatcher: Dispatcher,
  home: string | null,
  codec: Codec,
  clock: Clock,
  options: { readonly signal?: AbortSignal | undefined } | undefined,
): EventStream {
  let call: Call | null = null;
  const begin = (): void => {
    if (dispatcher.closed) return stream.end({ type: "closed" });
    try {
      if (options !== undefined) checkCallOptions(options, callOptionNames.events);
      const signal = signalOf(options);
      const body = codec.encode(null);
      if (signal?.aborted === true) return stream.end();
      const target = home === null ? "near" : { address: home };
      call = subscription(dispatcher.nextRequest(), target, body, clock.nowMs(), stream);
      call.signal = signal;
    } catch (error) {
      return stream.fail(error as Error);
    }
    dispatcher.submit(call);
  };
  const finish = (): void => {
    if (call !== null) dispatcher.unsubscribe(call);
  };
  const stream = new EventStream(begin, finish);
  return stream;
}
