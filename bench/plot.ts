/** Throughput and p99 by outstanding count as an SVG, both axes logarithmic. */
import type { Measured } from "./compare.js";

const colours = ["#888888", "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"];
const width = 460;
const height = 320;
const margin = 56;

type Axis = { readonly from: number; readonly to: number };

function axisOf(values: readonly number[]): Axis {
  const least = Math.min(...values);
  const most = Math.max(...values);
  return { from: 10 ** Math.floor(Math.log10(least)), to: 10 ** Math.ceil(Math.log10(most)) };
}

function place(axis: Axis, value: number, length: number): number {
  const span = Math.log10(axis.to) - Math.log10(axis.from) || 1;
  return ((Math.log10(value) - Math.log10(axis.from)) / span) * length;
}

function panel(
  title: string,
  measured: readonly Measured[],
  valueOf: (one: Measured) => number,
  left: number,
): string {
  const x = axisOf(measured.map((one) => one.outstanding));
  const y = axisOf(measured.map(valueOf));
  const across = (value: number) => left + margin + place(x, value, width - 2 * margin);
  const up = (value: number) => height - margin - place(y, value, height - 2 * margin);
  const parts = [`<text x="${left + margin}" y="24" font-weight="bold">${title}</text>`];
  for (let tick = y.from; tick <= y.to; tick *= 10) {
    parts.push(
      `<line x1="${left + margin}" x2="${left + width - margin}" y1="${up(tick)}" y2="${up(tick)}" stroke="#ddd"/>`,
      `<text x="${left + margin - 6}" y="${up(tick) + 4}" text-anchor="end">${short(tick)}</text>`,
    );
  }
  for (const outstanding of new Set(measured.map((one) => one.outstanding))) {
    parts.push(
      `<text x="${across(outstanding)}" y="${height - margin + 18}" text-anchor="middle">${outstanding}</text>`,
    );
  }
  const systems = [...new Set(measured.map((one) => one.system))];
  systems.forEach((system, at) => {
    const points = measured.filter((one) => one.system === system);
    const colour = colours[at % colours.length]!;
    const path = points.map((one) => `${across(one.outstanding)},${up(valueOf(one))}`).join(" ");
    parts.push(
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      `<text x="${left + margin + 8}" y="${48 + at * 16}" fill="${colour}">${system}</text>`,
    );
  });
  return parts.join("\n");
}

function short(tick: number): string {
  if (tick >= 1e6) return `${tick / 1e6}M`;
  return tick >= 1000 ? `${tick / 1000}k` : String(tick);
}

export function plot(measured: readonly Measured[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${2 * width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    panel("operations per second by outstanding calls", measured, (one) => one.opsPerSecond, 0),
    panel("p99 in microseconds by outstanding calls", measured, (one) => one.p99Us, width),
    "</svg>",
  ].join("\n");
}
