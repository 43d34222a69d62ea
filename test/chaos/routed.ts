/** TCP as a process behind proxies sees it: every address is reached by a way of this process's own. */
import type { Connection, Transport } from "../../src/index.js";
import { createTcpTransport } from "../../src/index.js";
import type { Routes } from "./words.js";

/** Nobody listens there: a way that is not known (yet) is a host that cannot be reached. */
const nowhere = "127.0.0.1:1";

export class RoutedTransport implements Transport {
  readonly #tcp = createTcpTransport();
  #routes: Routes;
  /** Where it listens in truth, once it does. */
  listening = "";

  constructor(routes: Routes) {
    this.#routes = routes;
  }

  setRoutes(routes: Routes): void {
    this.#routes = routes;
  }

  async listen(...args: Parameters<Transport["listen"]>): ReturnType<Transport["listen"]> {
    const listener = await this.#tcp.listen(...args);
    this.listening = listener.address;
    return listener;
  }

  dial(address: string, handlers: Parameters<Transport["dial"]>[1]): Connection {
    return this.#tcp.dial(this.#routes[address] ?? nowhere, handlers);
  }
}
