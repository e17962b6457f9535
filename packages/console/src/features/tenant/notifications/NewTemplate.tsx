import type { Schemas } from "@insulae/client";
import { Form } from "antd";
import { useAct } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import {
  type channels,
  NameAndKind,
  TextFields,
  VariablesField,
  variablesOf,
} from "./TemplateFields.tsx";
import { texts } from "./texts.ts";

export interface NewTemplateValues {
  readonly name: string;
  readonly type: (typeof channels)[number];
  readonly subject?: string;
  readonly body: string;
  readonly html?: string;
  readonly variables?: string;
}

interface Props {
  readonly initial: Partial<NewTemplateValues>;
  readonly onMade: (template: Schemas["NotificationTemplate"]) => void;
  readonly onClose: () => void;
}

export default function NewTemplate({ initial, onMade, onClose }: Props) {
  const t = useText(texts);
  const make = useAct(
    (api, { variables, subject, html, ...texts }: NewTemplateValues) =>
      api.post("/notifications/templates", {
        body: {
          ...texts,
          subject: subject || null,
          html: html || null,
          variables: variablesOf(variables) as Schemas["NewNotificationTemplate"]["variables"] & {},
        },
      }),
    { changes: ["/notifications/templates"] },
  );
  return (
    <FormDialog<NewTemplateValues>
      title={t.newTemplate}
      submit={t.save}
      initial={initial}
      onSubmit={async (values) => onMade(await make.mutateAsync(values))}
      onClose={onClose}
    >
      <NameAndKind />
      <Form.Item noStyle dependencies={["type"]}>
        {({ getFieldValue }) => <TextFields type={getFieldValue("type")} />}
      </Form.Item>
      <VariablesField />
    </FormDialog>
  );
}
