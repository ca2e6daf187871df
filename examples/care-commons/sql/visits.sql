-- Visits :lo to :hi of :visits, numbered by date over the year before the sample's "now" and the
-- two weeks after it.

insert into visits (id, organization_id, branch_id, client_id, assigned_caregiver_id, visit_number,
    visit_type, service_type_id, service_type_name, scheduled_date, scheduled_start_time,
    scheduled_end_time, scheduled_duration, timezone, actual_start_time, actual_end_time,
    actual_duration, assignment_method, address, location_verification, task_ids, required_skills,
    status, status_history, is_urgent, is_priority, requires_supervision, verification_method,
    verification_data, completion_notes, tasks_completed, tasks_total, signature_required,
    signature_captured, billable_hours, billing_status, client_instructions, caregiver_instructions,
    tags, created_at, created_by, updated_at, updated_by, version, deleted_at, deleted_by)
select gen.id('visit', n), c.organization_id, c.branch_id, c.id,
    case when p.status <> 'UNASSIGNED' then g.id end, 'V' || lpad(n::text, 9, '0'),
    case gen.below(n, 500, 40) when 0 then 'INITIAL' when 1 then 'ASSESSMENT' when 2 then 'MAKEUP'
        when 3 then 'SUPERVISION' when 4 then 'EMERGENCY' else 'REGULAR' end,
    gen.service_id(n), gen.service_name(n), p.day, p.planned, p.planned + p.minutes * interval '1 minute',
    p.minutes, 'America/Chicago', p.clock_in, p.clock_out, p.worked / 60,
    gen.pick(n, 501, '{MANUAL,AUTO_MATCH,AUTO_MATCH,PREFERRED,SELF_ASSIGN,OVERFLOW}'::text[]), c.address,
    case when p.delivered then jsonb_build_object(
        'method', 'GPS', 'distanceMeters', gen.below(n, 502, 1400) * 0.1, 'withinGeofence', true,
        'latitude', c.lat + (gen.below(n, 503, 1800) - 900) * 0.000001,
        'longitude', c.lon + (gen.below(n, 504, 1800) - 900) * 0.000001) end,
    case when gen.below(n, 505, 3) = 0 then '{}' else
        array[gen.id('task', n % 40), gen.id('task', 40 + n % 30)] end,
    case when gen.below(n, 506, 5) = 0 then '{"Hoyer lift"}'::text[] else '{}' end,
    p.status,
    case when p.delivered then jsonb_build_array(
        jsonb_build_object('to', 'SCHEDULED', 'at', p.booked),
        jsonb_build_object('to', 'IN_PROGRESS', 'at', p.clock_in, 'by', g.id),
        jsonb_build_object('to', p.status, 'at', p.clock_out, 'by', g.id))
    else jsonb_build_array(
        jsonb_build_object('to', p.status, 'at', p.booked, 'by', c.admin_id)) end,
    gen.below(n, 507, 30) = 0, gen.below(n, 508, 20) = 0, gen.below(n, 509, 50) = 0,
    case when p.delivered then gen.pick(n, 510, '{GPS,GPS,GPS,GPS,PHONE,MANUAL}'::text[]) end,
    case when p.delivered and gen.below(n, 511, 4) = 0 then jsonb_build_object(
        'batteryLevel', gen.below(n, 512, 100), 'network', '4G', 'device', g.device_id) end,
    case when p.delivered and gen.below(n, 513, 10) < 9 then gen.note(n, 520) end,
    case when p.delivered then 3 + gen.below(n, 514, 3) end, 6,
    true, p.delivered and gen.below(n, 515, 12) > 0,
    case when p.delivered then round(p.worked / 3600.0, 2) end,
    case when not p.delivered then null when p.day < gen.today() - 60 then
        gen.pick(n, 516, '{PAID,PAID,PAID,PAID,DENIED,ADJUSTED}'::text[])
        else gen.pick(n, 517, '{BILLED,READY,PENDING}'::text[]) end,
    case when gen.below(n, 518, 8) = 0 then 'Please bring the medication list; the nurse wants to see it.' end,
    case when gen.below(n, 519, 4) = 0 then gen.note(n, 540) end,
    case when gen.below(n, 521, 6) = 0 then array['weekend'] end,
    p.booked, c.admin_id, coalesce(p.clock_out + interval '4 minutes', p.booked), g.admin_id,
    case when p.delivered then 4 else 1 end,
    case when gen.below(n, 522, 400) = 0 then p.booked + interval '1 day' end,
    case when gen.below(n, 522, 400) = 0 then c.admin_id end
from gen.visit_plan(:lo, :hi, :visits, :clients, :caregivers, :organizations) p(n, client_no,
    caregiver_no, day, planned, minutes, clock_in, clock_out, worked, booked, status, delivered)
join gen.client c on c.no = p.client_no
join gen.caregiver g on g.no = p.caregiver_no;
