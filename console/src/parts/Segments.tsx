// A choice of one among few, drawn as joined segments; native radio buttons, so arrow keys work.
import { useId } from "preact/hooks";

interface SegmentsProps<Value extends string> {
  legend: string;
  options: readonly { value: Value; label: string; title?: string }[];
  value: Value;
  onChange: (value: Value) => void;
}

export function Segments<Value extends string>({ legend, options, value, onChange }: SegmentsProps<Value>) {
  const name = useId();
  return (
    <fieldset class="segments">
      <legend class="hidden">{legend}</legend>
      {options.map((option) => (
        <label key={option.value} class="segment" title={option.title}>
          <input
            type="radio"
            class="segment-input"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          <span class="segment-face">{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
