import type { Metadata } from "next";
import { connection } from "next/server";
import { BookForm } from "@/components/book-form";
import { listEntries } from "@/lib/book";
import { formatDay } from "@/lib/tide";

export const metadata: Metadata = { title: "The book" };

export default async function Book() {
  // The book changes while the server runs: never made by the build.
  await connection();
  return (
    <article className="sheet">
      <h1>The swimmers’ book</h1>
      <p className="lead">It hangs in the boat house. Write what the water was like.</p>
      <BookForm />
      <ul className="entries">
        {listEntries().map((entry) => (
          <li key={entry.id}>
            <p>{entry.words}</p>
            <small>{entry.name}, {formatDay(entry.at)}</small>
          </li>
        ))}
      </ul>
    </article>
  );
}
