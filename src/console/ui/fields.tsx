import type { ReactNode } from "react";
import {
  Button,
  FieldError,
  Input,
  Label,
  ListBox,
  ListBoxItem,
  Popover,
  SearchField,
  Select,
  SelectValue,
  Text,
  TextArea,
  TextField,
  type TextFieldProps,
} from "react-aria-components";

/** A line of text, or several; `error` is the server's word on it. */
export function TextBox(
  props: Omit<TextFieldProps, "children"> & {
    label: string;
    hint?: ReactNode;
    error?: string | undefined;
    lines?: number;
    placeholder?: string;
  },
) {
  const { label, hint, error, lines, placeholder, ...field } = props;
  return (
    <TextField
      {...field}
      className="field"
      isInvalid={error !== undefined}
      validationBehavior="aria"
    >
      <Label>{label}</Label>
      {lines === undefined ? (
        <Input className="input" {...(placeholder ? { placeholder } : {})} />
      ) : (
        <TextArea className="input" rows={lines} />
      )}
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="field-error">{error}</FieldError>
    </TextField>
  );
}

export function SearchBox(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  placeholder?: string;
}) {
  const { label, value, onChange, placeholder } = props;
  return (
    <SearchField className="field search" value={value} onChange={onChange}>
      <Label>{label}</Label>
      <Input className="input" {...(placeholder ? { placeholder } : {})} />
    </SearchField>
  );
}

/** One of a few. */
export function Choice<T extends string>(props: {
  label: string;
  value: T;
  onChange: (value: T) => void;
  options: readonly (readonly [T, string])[];
}) {
  const { label, value, onChange, options } = props;
  return (
    <Select className="field" value={value} onChange={(key) => key !== null && onChange(key as T)}>
      <Label>{label}</Label>
      <Button className="input select">
        <SelectValue />
        <span aria-hidden="true">▾</span>
      </Button>
      <Popover className="popover">
        <ListBox className="list">
          {options.map(([id, name]) => (
            <ListBoxItem key={id} id={id} className="option">
              {name}
            </ListBoxItem>
          ))}
        </ListBox>
      </Popover>
    </Select>
  );
}
