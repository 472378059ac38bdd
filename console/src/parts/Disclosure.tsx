// A button that opens a small card beneath itself; Escape, a click outside or leaving by Tab closes it.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

interface DisclosureProps {
  class: string;
  label: string;
  face: ComponentChildren;
  children: ComponentChildren;
}

export function Disclosure({ class: look, label, face, children }: DisclosureProps) {
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);

  useEffect(() => {
    if (!open) return;
    const closeOutside = (event: Event): void => {
      if (event.target instanceof Node && box.current?.contains(event.target) === false) setOpen(false);
    };
    const closeByKey = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", closeOutside);
    document.addEventListener("focusin", closeOutside);
    document.addEventListener("keydown", closeByKey);
    return () => {
      document.removeEventListener("pointerdown", closeOutside);
      document.removeEventListener("focusin", closeOutside);
      document.removeEventListener("keydown", closeByKey);
    };
  }, [open]);

  return (
    <div class="disclosure" ref={box}>
      <button ref={button} type="button" class={look} aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        {face}
      </button>
      <div id={id} class="disclosure-card" role="group" aria-label={label} hidden={!open}>
        {open && children}
      </div>
    </div>
  );
}
