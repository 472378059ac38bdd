"use client";

/** Light or dark; the script in `app/layout.tsx` remembers the choice. */
export function Night() {
  const turn = () => {
    const root = document.documentElement;
    root.dataset.sky = root.dataset.sky === "night" ? "day" : "night";
    localStorage.setItem("sky", root.dataset.sky);
  };
  return <button type="button" className="night" aria-label="Day or night" onClick={turn} />;
}
