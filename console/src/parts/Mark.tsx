// The product's mark: a mast and its stays.
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
      <rect class="mark-ground" width="32" height="32" rx="7" />
      <path class="mark-lines" d="M16 5v22M16 7 6.5 24M16 7l9.5 17M9.5 18.5h13" />
    </svg>
  );
}
