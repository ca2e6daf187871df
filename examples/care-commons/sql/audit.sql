-- Audit events :lo to :hi, and one field-by-field revision for every twelfth of them.

insert into audit_events (event_id, "timestamp", user_id, organization_id, event_type, resource,
    resource_id, action, result, metadata, ip_address, user_agent)
select gen.id('event', n), e.at, gen.id('user', e.user_no), gen.id('organization', e.org_no),
    gen.pick(n, 700, '{DATA_ACCESS,DATA_ACCESS,DATA_ACCESS,DATA_ACCESS,DATA_MODIFICATION,
DATA_MODIFICATION,AUTHORIZATION,EXPORT}'::text[]), e.resource,
    case when gen.below(n, 701, 20) > 0 then gen.id(rtrim(e.resource, 's'), 1 + gen.below(n, 702, :visits))::text end,
    gen.pick(n, 700, '{READ,READ,READ,LIST,UPDATE,CREATE,CHECK,EXPORT}'::text[]),
    case gen.below(n, 704, 60) when 0 then 'DENIED' when 1 then 'FAILURE' else 'SUCCESS' end,
    jsonb_strip_nulls(jsonb_build_object('requestId', 'req_' || to_hex(gen.h(n, 705)),
        'path', '/api/' || e.resource || '/' || gen.pick(n, 706, '{details,summary,history,notes,list}'::text[]),
        'durationMs', 3 + gen.below(n, 707, 400), 'rows', gen.below(n, 708, 50),
        'fields', case when gen.below(n, 709, 3) = 0 then jsonb_build_array('status',
            gen.pick(n, 710, '{completion_notes,phone,assigned_caregiver_id,scheduled_date}'::text[])) end,
        'reason', case when gen.below(n, 711, 4) = 0 then gen.pick(n, 712, '{care coordination,
billing review,family request,routine supervision,payor audit}'::text[]) end,
        'sessionAgeMin', gen.below(n, 713, 480))),
    gen.ip(e.user_no * 3 + gen.below(n, 714, 3)), gen.user_agent(e.user_no)
from (
    select n, 1 + (u - 1) % :organizations as org_no, u as user_no,
        (gen.today() - 365) + (n * 31536000.0 / (:events + 1)) * interval '1 second' as at,
        gen.pick(n, 715, '{visits,visits,visits,clients,clients,evv_records,caregivers,users}'::text[]) as resource
    from generate_series(:lo::bigint, :hi::bigint) n
    cross join lateral (select 1 + gen.below(n, 716, :users)) x(u)
    offset 0
) e;

insert into audit_revisions (revision_id, entity_id, entity_type, "timestamp", user_id, operation,
    changes, snapshot, reason, ip_address, user_agent)
select gen.id('revision', n), gen.id('visit', r.visit_no), 'visits',
    (gen.today() - 365) + (n * 31536000.0 / (:events + 1)) * interval '1 second',
    gen.id('user', r.user_no), r.operation,
    jsonb_build_array(jsonb_build_object('field', 'status', 'old', 'SCHEDULED', 'new', 'COMPLETED'),
        jsonb_build_object('field', 'completion_notes', 'old', null, 'new', gen.note(n, 720))),
    case when r.operation = 'UPDATE' then jsonb_build_object('id', gen.id('visit', r.visit_no),
        'visit_number', 'V' || lpad(r.visit_no::text, 9, '0'), 'status', 'SCHEDULED', 'version', 1,
        'caregiver_instructions', gen.note(n, 740)) end,
    case when gen.below(n, 760, 3) = 0 then gen.pick(n, 761, '{correction,late entry,supervisor review}'::text[]) end,
    gen.ip(r.user_no * 3), gen.user_agent(r.user_no)
from (
    select n, 1 + gen.below(n, 762, :visits) as visit_no, 1 + gen.below(n, 763, :users) as user_no,
        gen.pick(n, 764, '{UPDATE,UPDATE,UPDATE,CREATE,DELETE}'::text[]) as operation
    from generate_series(:lo::bigint, :hi::bigint) n
    where n % 12 = 0
    offset 0
) r;
