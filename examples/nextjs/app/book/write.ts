"use server";

import { revalidatePath } from "next/cache";
import { addEntry, NAME_MAX, WORDS_MAX } from "@/lib/book";

export type Written = { problem?: string; thanks?: string };

const read = (form: FormData, field: string) => String(form.get(field) ?? "").trim();

/** The server action behind the form; works with and without scripts in the browser. */
export async function write(_: Written, form: FormData): Promise<Written> {
  const [name, words] = [read(form, "name"), read(form, "words")];
  if (!name || name.length > NAME_MAX) return { problem: `A name of up to ${NAME_MAX} letters, please.` };
  if (!words || words.length > WORDS_MAX) return { problem: `Up to ${WORDS_MAX} letters about the water, please.` };
  addEntry(name, words, Date.now());
  revalidatePath("/book");
  return { thanks: `Thank you, ${name}.` };
}
