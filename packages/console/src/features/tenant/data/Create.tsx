import { anyClient } from "../../../lib/any-client.ts";
import { useAct } from "../../../lib/api.ts";
import { type ApiDocument, bodyOf, type Resource } from "../../../lib/document.ts";
import { useText } from "../../../lib/i18n.ts";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { filledIn, labelOf, SchemaFields } from "../../../ui/SchemaForm.tsx";
import { texts as shared } from "../../../ui/texts.ts";

interface Props {
  readonly document: ApiDocument;
  readonly resource: Resource;
  readonly onClose: () => void;
}

export function Create({ document, resource, onClose }: Props) {
  const t = useText(shared);
  const create = useAct((api, body: object) => anyClient(api).post(resource.path, { body }), {
    changes: [resource.path],
  });
  return (
    <FormDialog<object>
      title={labelOf(resource.name)}
      submit={t.create}
      onSubmit={(values) => create.mutateAsync(filledIn(values) as object)}
      onClose={onClose}
    >
      <SchemaFields document={document} schema={bodyOf(document, resource.create)} />
    </FormDialog>
  );
}
