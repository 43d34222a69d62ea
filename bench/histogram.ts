/**
 * Latencies in log-linear buckets: 64 to each power of two of microseconds, so that a quantile is
 * off by at most 1.6 %.
 */
const perPower = 64;
const powers = 36;

export class Histogram {
  readonly counts = new Float64Array(perPower * powers);
  count = 0;
  maxUs = 0;

  record(us: number): void {
    const value = us < 1 ? 1 : us;
    const power = Math.floor(Math.log2(value));
    const within = Math.floor((value / 2 ** power - 1) * perPower);
    const at = Math.min(power * perPower + within, this.counts.length - 1);
    this.counts[at]! += 1;
    this.count += 1;
    if (us > this.maxUs) this.maxUs = us;
  }

  add(other: Histogram): void {
    for (let i = 0; i < this.counts.length; i++) this.counts[i]! += other.counts[i]!;
    this.count += other.count;
    this.maxUs = Math.max(this.maxUs, other.maxUs);
  }

  /** Microseconds below which the share `quantile` of all lies. */
  quantileUs(quantile: number): number {
    const wanted = this.count * quantile;
    let seen = 0;
    for (let i = 0; i < this.counts.length; i++) {
      seen += this.counts[i]!;
      if (seen >= wanted && seen > 0) {
        return 2 ** Math.floor(i / perPower) * (1 + ((i % perPower) + 0.5) / perPower);
      }
    }
    return this.maxUs;
  }
}
