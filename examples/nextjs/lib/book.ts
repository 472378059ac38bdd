// The swimmers' book: what was written since the server started. A real site would keep it in a database.

export type Entry = { id: string; name: string; words: string; at: number };

export const NAME_MAX = 40;
export const WORDS_MAX = 240;
const ENTRIES_MAX = 50;

const FIRST: Entry[] = [
  { id: "1", name: "Ines", words: "Slack at seven. Flat as a plate, and a seal who stayed for tea.", at: Date.UTC(2026, 8, 14, 7, 10) },
  { id: "2", name: "Tomas", words: "Eleven degrees. I was very brave for nine minutes.", at: Date.UTC(2026, 9, 2, 16, 40) },
];

/** The page and the server action are bundled apart, each with a copy of this module: the book is the process's. */
const shelf = globalThis as typeof globalThis & { book?: Entry[] };
const entries = (shelf.book ??= FIRST);

export const listEntries = (): Entry[] => [...entries].reverse();

/** Adds an entry; the oldest one goes when the book is full. */
export function addEntry(name: string, words: string, at: number) {
  entries.push({ id: crypto.randomUUID(), name, words, at });
  if (entries.length > ENTRIES_MAX) entries.shift();
}
