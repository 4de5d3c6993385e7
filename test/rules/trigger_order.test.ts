import { describeRule } from "../support/rules.ts";

describeRule("trigger_order", [
  {
    title: "a trigger without a number is found",
    clean: `create trigger _100_timestamps before insert or update on app_public.notes
      for each row execute function app_private.tg__timestamps()`,
    violation: `create trigger whenever before delete on app_public.notes
      for each row execute function app_private.tg__timestamps()`,
    finds: ["app_public.notes.whenever"],
  },
  {
    title: "so are two of one moment with one number; other moments are no matter",
    clean: `create trigger _100_first before insert or update on app_public.notes
        for each row execute function app_private.tg__timestamps();
      create trigger _100_gone before delete on app_public.notes
        for each row execute function app_private.tg__timestamps();
      create trigger _100_later after insert on app_public.notes
        for each row execute function app_private.tg__timestamps()`,
    violation: `create trigger _100_second before insert on app_public.notes
      for each row execute function app_private.tg__timestamps()`,
    finds: ["app_public.notes._100_second"],
    mend: "alter trigger _100_second on app_public.notes rename to _110_second",
  },
]);
