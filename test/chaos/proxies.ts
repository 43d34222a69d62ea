/**
 * A proxy on every way from one process to a member, so that each direction of each pair can be cut,
 * slowed and broken by itself.
 */
import { TcpProxy } from "../tools/tcp-proxy.js";
import { cutStrikes, type Network, type Targets } from "./network.js";
import type { Routes } from "./words.js";

/** What one way is like at the moment; a member that comes back at another port finds it unchanged. */
type Way = {
  /** Bytes from the dialler; bytes back to it. */
  cutTo: boolean;
  cutFrom: boolean;
  delayMs: number;
  bytesPerSecond: number;
};

export class ProxyNetwork implements Network {
  readonly kind = "proxies";
  readonly cables = null;
  readonly strikes = {
    ...cutStrikes((from, to) => this.#cutOneWay(from, to)),
    isolate: ({ one, everybodyElse }: Targets): boolean => {
      for (const each of everybodyElse) {
        this.#cutOneWay(each, one);
        this.#cutOneWay(one, each);
      }
      return true;
    },
    delay: ({ one, everybodyElse, random }: Targets): boolean => {
      for (const each of everybodyElse) {
        const delayMs = 5 + random.below(300);
        this.#change(each, one, (way) => (way.delayMs = delayMs));
      }
      return true;
    },
    throttle: ({ one, everybodyElse, random }: Targets): boolean => {
      for (const each of everybodyElse) {
        const bytesPerSecond = 2000 + random.below(50_000);
        this.#change(each, one, (way) => (way.bytesPerSecond = bytesPerSecond));
      }
      return true;
    },
    reset: ({ one, everybodyElse }: Targets): boolean =>
      everybodyElse.filter((each) => this.#reset(each, one)).length > 0,
    "half-open": ({ one, other, random }: Targets): boolean =>
      this.#leaveHalfOpen(one, other, random.below(2) === 0 ? "target" : "dialler"),
  };
  readonly #sources: readonly string[];
  readonly #targets = new Map<
    string,
    { readonly address: string; proxies: Map<string, TcpProxy> }
  >();
  readonly #ways = new Map<string, Way>();

  /** `sources`: ids of all processes that dial; those of members are targets as well. */
  constructor(sources: readonly string[]) {
    this.#sources = sources;
  }

  addressOf(member: string): string {
    return `${member}:7100`;
  }

  listenOf(): string {
    return "127.0.0.1:0";
  }

  entryTo(): readonly string[] {
    return [];
  }

  async place(target: string, address: string): Promise<void> {
    await this.remove(target);
    const proxies = new Map<string, TcpProxy>();
    for (const source of this.#sources) {
      if (source === target) continue;
      const proxy = await TcpProxy.start(address);
      proxies.set(source, proxy);
      this.#apply(proxy, this.#way(source, target));
    }
    this.#targets.set(target, { address, proxies });
  }

  async remove(target: string): Promise<void> {
    const old = this.#targets.get(target);
    this.#targets.delete(target);
    if (old === undefined) return;
    await Promise.all([...old.proxies.values()].map((proxy) => proxy.close()));
  }

  routesOf(source: string): Routes {
    const routes: Record<string, string> = {};
    for (const [target, { proxies }] of this.#targets) {
      const proxy = proxies.get(source);
      if (proxy !== undefined) routes[this.addressOf(target)] = proxy.address;
    }
    return routes;
  }

  /** Past the proxies, to all members or one. */
  directRoutes(...only: readonly string[]): Routes {
    const routes: Record<string, string> = {};
    for (const [target, { address }] of this.#targets) {
      if (only.length === 0 || only.includes(target)) routes[this.addressOf(target)] = address;
    }
    return routes;
  }

  heal(): void {
    this.#ways.clear();
    for (const [target, { proxies }] of this.#targets) {
      for (const [source, proxy] of proxies) this.#apply(proxy, this.#way(source, target));
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#targets.keys()].map((target) => this.remove(target)));
  }

  /** Nothing that `from` says reaches `to`, whoever of them dialled. */
  #cutOneWay(from: string, to: string): void {
    this.#change(from, to, (way) => (way.cutTo = true));
    this.#change(to, from, (way) => (way.cutFrom = true));
  }

  #reset(from: string, to: string): boolean {
    const proxy = this.#targets.get(to)?.proxies.get(from);
    const had = (proxy?.links ?? 0) > 0;
    proxy?.reset();
    return had;
  }

  #leaveHalfOpen(from: string, to: string, gone: "target" | "dialler"): boolean {
    const proxy = this.#targets.get(to)?.proxies.get(from);
    const had = (proxy?.links ?? 0) > 0;
    proxy?.leaveHalfOpen(gone);
    return had;
  }

  #way(source: string, target: string): Way {
    const name = `${source}>${target}`;
    let way = this.#ways.get(name);
    if (way === undefined) {
      way = { cutTo: false, cutFrom: false, delayMs: 0, bytesPerSecond: Infinity };
      this.#ways.set(name, way);
    }
    return way;
  }

  #change(source: string, target: string, change: (way: Way) => void): void {
    const way = this.#way(source, target);
    change(way);
    const proxy = this.#targets.get(target)?.proxies.get(source);
    if (proxy !== undefined) this.#apply(proxy, way);
  }

  #apply(proxy: TcpProxy, way: Way): void {
    proxy.setDelayMs(way.delayMs);
    proxy.setBytesPerSecond(way.bytesPerSecond);
    // Not healed and cut again: what waits would slip through.
    if (!way.cutTo && !way.cutFrom) proxy.heal();
    if (way.cutTo) proxy.cut("toTarget");
    if (way.cutFrom) proxy.cut("fromTarget");
  }
}
