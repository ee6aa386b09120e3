import type { VNode } from 'preact'
import { useId } from 'preact/hooks'

/** What a choice needs. */
export interface ChoiceProps<T extends string> {
  readonly legend: string
  readonly options: readonly T[]
  readonly chosen: T
  readonly labelOf: (option: T) => string
  readonly titleOf: (option: T) => string
  readonly onChoose: (option: T) => void
}

/** One of a few, side by side. Real radio buttons: arrow keys and screen readers work as everywhere. */
export function Choice<T extends string>({
  legend,
  options,
  chosen,
  labelOf,
  titleOf,
  onChoose,
}: ChoiceProps<T>): VNode {
  const name = useId()
  return (
    <fieldset class="choice field">
      <legend>{legend}</legend>
      <div class="choice-options">
        {options.map((option) => (
          <label key={option} title={titleOf(option)}>
            <input type="radio" name={name} checked={option === chosen} onChange={() => onChoose(option)} />
            <span>{labelOf(option)}</span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}
