"use client";

import { useActionState } from "react";
import { write } from "@/app/book/write";

export function BookForm() {
  const [written, action, pending] = useActionState(write, {});
  return (
    <form action={action} className="book-form">
      <label>Name <input name="name" required maxLength={40} autoComplete="given-name" /></label>
      <label>The water today <textarea name="words" required maxLength={240} rows={3} /></label>
      <button disabled={pending}>{pending ? "Writing" : "Write it down"}</button>
      <p role="status" className={written.problem ? "problem" : "thanks"}>{written.problem ?? written.thanks}</p>
    </form>
  );
}
