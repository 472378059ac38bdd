// The tide at Pellow Cove, an invented place: the sum of its five strongest constituents. Knows no clock of its own.

/** Speed in degrees an hour is the same everywhere; height in metres and phase in degrees belong to the cove. */
const CONSTITUENTS = [
  { name: "M2", speed: 28.9841042, height: 1.72, phase: 134 },
  { name: "S2", speed: 30, height: 0.61, phase: 178 },
  { name: "N2", speed: 28.4397295, height: 0.34, phase: 115 },
  { name: "K1", speed: 15.0410686, height: 0.07, phase: 111 },
  { name: "O1", speed: 13.9430356, height: 0.05, phase: 343 },
];
const MEAN_LEVEL = 2.9;
const EPOCH = Date.UTC(2024, 0, 1);
const HOUR = 3_600_000;
const STEP = 6 * 60_000;

export type Turn = { kind: "High" | "Low"; at: number; height: number };

/** Height above chart datum in metres at a moment in Unix milliseconds. */
export function heightAt(moment: number): number {
  const hours = (moment - EPOCH) / HOUR;
  const tide = ({ speed, height, phase }: (typeof CONSTITUENTS)[number]) =>
    height * Math.cos(((speed * hours - phase) * Math.PI) / 180);
  return CONSTITUENTS.reduce((level, constituent) => level + tide(constituent), MEAN_LEVEL);
}

/** High and low waters between two moments, to the nearest six minutes. */
export function listTurns(from: number, to: number): Turn[] {
  const turns: Turn[] = [];
  for (let at = from; at < to; at += STEP) {
    const [before, here, after] = [heightAt(at - STEP), heightAt(at), heightAt(at + STEP)];
    if (here > before && here >= after) turns.push({ kind: "High", at, height: here });
    if (here < before && here <= after) turns.push({ kind: "Low", at, height: here });
  }
  return turns;
}

/** Where the water stands now, and the turn it is heading for. */
export function readTide(now: number) {
  const [next] = listTurns(now, now + 14 * HOUR);
  return { at: now, height: heightAt(now), rising: heightAt(now + STEP) > heightAt(now), next };
}

export type Tide = ReturnType<typeof readTide>;

/** Heights around a moment, for a curve: twelve hours back and twelve ahead. */
export function listHeights(now: number): { at: number; height: number }[] {
  return Array.from({ length: 97 }, (_, index) => {
    const at = now + (index - 48) * 15 * 60_000;
    return { at, height: heightAt(at) };
  });
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "Europe/London" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", timeZone: "Europe/London" });

export const formatClock = (at: number) => CLOCK.format(at);
export const formatDay = (at: number) => DAY.format(at);
export const formatHeight = (height: number) => `${height.toFixed(1)} m`;
