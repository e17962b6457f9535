import { useLanguage } from "../../../lib/i18n.ts";
import { JobList } from "../../../ui/JobList.tsx";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { jobs } from "./index.ts";

export default function Jobs() {
  const title = jobs.title[useLanguage()];
  return (
    <ScreenFrame title={title}>
      <JobList label={title} />
    </ScreenFrame>
  );
}
