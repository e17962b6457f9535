import { useLanguage } from "../../../lib/i18n.ts";
import { JobList } from "../../../ui/JobList.tsx";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { title } from "./title.ts";

export default function Jobs() {
  const name = title[useLanguage()];
  return (
    <ScreenFrame title={name}>
      <JobList label={name} />
    </ScreenFrame>
  );
}
