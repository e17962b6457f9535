/** Form fields made of a JSON Schema, as the API's document has it of a body. */
import { Form, Input, InputNumber, Select, Switch } from "antd";
import { type ApiDocument, isNullable, resolve, type Schema, typeOf } from "../lib/document.ts";

interface Props {
  readonly document: ApiDocument;
  readonly schema: Schema;
  readonly path?: readonly string[];
}

export function SchemaFields({ document, schema, path = [] }: Props) {
  const { properties = {}, required = [] } = schema;
  return Object.entries(properties).map(([name, given]) => {
    const own = resolve(document, given);
    const at = [...path, name];
    if (typeOf(own) === "object" && own.properties) {
      return (
        <fieldset key={name} className="nested">
          <legend>{labelOf(name)}</legend>
          <SchemaFields document={document} schema={own} path={at} />
        </fieldset>
      );
    }
    const isRequired = required.includes(name) && !isNullable(given);
    return (
      <Form.Item
        key={name}
        name={at}
        label={labelOf(name)}
        extra={own.description && descriptionOf(own.description)}
        valuePropName={typeOf(own) === "boolean" ? "checked" : "value"}
        rules={isRequired && typeOf(own) !== "boolean" ? [{ required: true }] : []}
      >
        {fieldOf(document, own)}
      </Form.Item>
    );
  });
}

const spellings: Readonly<Record<string, string>> = {
  api: "API",
  cors: "CORS",
  email: "e-mail",
  ip: "IP",
  sku: "SKU",
  url: "URL",
};

/** What people call a field: `is_active` is Active. */
export const labelOf = (name: string): string => {
  const words = name.replace(/^is_/, "").split("_");
  const text = words.map((word) => spellings[word] ?? word).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

/** A description, with what it has between backticks as code. */
const descriptionOf = (text: string) =>
  // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one text
  text.split("`").map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));

const longText = 300;

function fieldOf(document: ApiDocument, schema: Schema) {
  if (schema.enum) {
    return (
      <Select
        allowClear
        options={schema.enum.map((value) => ({ value: String(value), label: String(value) }))}
      />
    );
  }
  switch (typeOf(schema)) {
    case "boolean":
      return <Switch />;
    case "integer":
    case "number":
      return (
        <InputNumber
          style={{ width: "100%" }}
          {...(schema.minimum !== undefined && { min: schema.minimum })}
          {...(schema.maximum !== undefined && { max: schema.maximum })}
          {...(typeOf(schema) === "integer" && { precision: 0 })}
        />
      );
    case "array":
      return typeOf(resolve(document, schema.items)) === "string" ? (
        <Select mode="tags" tokenSeparators={[","]} />
      ) : (
        <JsonField />
      );
    case "string":
      if (schema.format === "date") return <Input type="date" />;
      if (schema.format === "date-time") return <DateTimeField />;
      if ((schema.maxLength ?? 0) > longText) return <Input.TextArea rows={3} />;
      return <Input type={schema.format === "email" ? "email" : "text"} />;
    default:
      return <JsonField />;
  }
}

interface FieldProps<Value> {
  readonly id?: string;
  readonly value?: Value;
  readonly onChange?: (value: Value | undefined) => void;
}

/** The browser's own field, in its time zone; the API has UTC. */
function DateTimeField({ id, value, onChange }: FieldProps<string>) {
  const local = value
    ? new Date(new Date(value).getTime() - new Date(value).getTimezoneOffset() * 60_000)
    : undefined;
  return (
    <Input
      id={id}
      type="datetime-local"
      step={1}
      value={local?.toISOString().slice(0, 19) ?? ""}
      onChange={({ target }) =>
        onChange?.(target.value ? new Date(target.value).toISOString() : undefined)
      }
    />
  );
}

/** Whatever has no field of its own. What is no JSON is kept as text, and refused by the server. */
function JsonField({ id, value, onChange }: FieldProps<unknown>) {
  const text =
    typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value, null, 2);
  const parse = (typed: string): unknown => {
    try {
      return typed === "" ? undefined : JSON.parse(typed);
    } catch {
      return typed;
    }
  };
  return (
    <Input.TextArea
      id={id}
      className="mono"
      rows={4}
      value={text}
      onChange={({ target }) => onChange?.(target.value)}
      onBlur={({ target }) => onChange?.(parse(target.value))}
    />
  );
}

/** Without what was left empty: fields that have no value are not sent. */
export function filledIn(values: unknown): unknown {
  if (Array.isArray(values) || typeof values !== "object" || values === null) return values;
  const entries = Object.entries(values)
    .map(([name, value]) => [name, filledIn(value)] as const)
    .filter(([, value]) => value !== undefined && value !== "" && !isEmptyObject(value));
  return Object.fromEntries(entries);
}

const isEmptyObject = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  Object.keys(value).length === 0;
