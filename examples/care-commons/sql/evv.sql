-- Verification records of those of visits :lo to :hi that took place. Together with audit_events,
-- most of the sample's bytes.

insert into evv_records (id, visit_id, organization_id, branch_id, client_id, caregiver_id,
    service_type_code, service_type_name, client_name, client_medicaid_id, caregiver_name,
    caregiver_employee_id, caregiver_npi, service_date, service_address, clock_in_time,
    clock_out_time, total_duration, clock_in_verification, clock_out_verification, mid_visit_checks,
    pause_events, exception_events, record_status, verification_level, compliance_flags,
    integrity_hash, integrity_checksum, recorded_at, recorded_by, sync_metadata, submitted_to_payor,
    payor_approval_status, state_specific_data, caregiver_attestation, client_attestation,
    created_at, created_by, updated_at, updated_by, version)
select gen.id('evv', n), gen.id('visit', n), c.organization_id, c.branch_id, c.id, g.id,
    gen.service_code(n), gen.service_name(n), c.first_name || ' ' || c.last_name, c.medicaid_id,
    g.first_name || ' ' || g.last_name, g.employee_number, g.npi, p.day,
    c.address || jsonb_build_object('latitude', c.lat, 'longitude', c.lon, 'geofenceRadius', 150),
    p.clock_in, p.clock_out, p.worked / 60,
    gen.verification(n, 600, p.clock_in, c.lat, c.lon, g.device_id, g.device_model, g.device_os),
    gen.verification(n, 620, p.clock_out, c.lat, c.lon, g.device_id, g.device_model, g.device_os),
    case when p.minutes >= 120 then jsonb_build_array(jsonb_build_object(
        'checkTime', p.clock_in + interval '1 hour', 'type', 'AUTO', 'withinGeofence', true,
        'distanceMeters', gen.below(n, 640, 900) * 0.1)) else '[]' end,
    case when gen.below(n, 641, 12) = 0 then jsonb_build_array(jsonb_build_object(
        'reason', gen.pick(n, 642, '{MEAL_BREAK,PERSONAL,CLIENT_REQUEST}'::text[]),
        'pausedAt', p.clock_in + interval '10 minutes', 'minutes', 5 + gen.below(n, 643, 15))) else '[]' end,
    case when gen.below(n, 644, 11) = 0 then jsonb_build_array(jsonb_build_object(
        'type', gen.pick(n, 645, '{GEOFENCE_WARNING,LATE_CLOCK_IN,LOW_ACCURACY,OFFLINE_SYNC}'::text[]),
        'resolution', gen.pick(n, 646, '{ACCEPTED,SUPERVISOR_OVERRIDE,DOCUMENTED}'::text[]),
        'explanation', gen.note(n, 520))) else '[]' end,
    s.status,
    gen.pick(n, 647, '{FULL,FULL,FULL,FULL,FULL,PARTIAL,PHONE,MANUAL,EXCEPTION}'::text[]),
    case gen.below(n, 644, 11) when 0 then '["GEOFENCE_WARNING", "REVIEWED"]' else '["COMPLIANT"]' end::jsonb,
    gen.sha256(concat_ws('|', 'evv', n, c.id, g.id, p.day, p.clock_in, p.clock_out)),
    gen.sha256(concat_ws('|', 'sum', n, p.clock_in, p.clock_out)),
    p.clock_out + gen.below(n, 648, 600) * interval '1 second', g.admin_id,
    jsonb_build_object('syncId', 'sync-' || n, 'lastSyncedAt', p.clock_out + interval '3 minutes',
        'syncStatus', 'SYNCED', 'offlineRecorded', gen.below(n, 649, 9) = 0, 'deviceId', g.device_id,
        'retryCount', gen.below(n, 650, 3)),
    case when s.status in ('SUBMITTED', 'APPROVED', 'REJECTED')
         then p.clock_out + interval '26 hours' + gen.below(n, 651, 7200) * interval '1 second' end,
    case s.status when 'SUBMITTED' then 'PENDING' when 'APPROVED' then 'APPROVED' when 'REJECTED' then 'DENIED' end,
    jsonb_build_object('state', 'TX', 'aggregator', 'HHAEXCHANGE', 'program', 'STAR+PLUS',
        'transactionId', 'TX-' || (9000000000 + gen.h(n, 652) % 1000000000), 'evvVersion', '6.2'),
    jsonb_build_object('attestedAt', p.clock_out + interval '1 minute', 'method', 'PIN',
        'statement', 'I provided the services recorded for this visit.'),
    case when gen.below(n, 653, 5) > 0 then jsonb_build_object('attestedAt', p.clock_out + interval '90 seconds',
        'method', gen.pick(n, 654, '{SIGNATURE,SIGNATURE,VOICE,PIN}'::text[]),
        'signatureHash', md5('signature' || n)) end,
    p.clock_in, g.admin_id, p.clock_out + interval '4 minutes', g.admin_id, 1 + gen.below(n, 655, 4)
from gen.visit_plan(:lo, :hi, :visits, :clients, :caregivers, :organizations) p(n, client_no,
    caregiver_no, day, planned, minutes, clock_in, clock_out, worked, booked, status, delivered)
join gen.client c on c.no = p.client_no
join gen.caregiver g on g.no = p.caregiver_no
cross join lateral (select case when p.day > gen.today() - 4 then 'COMPLETE'
    else gen.pick(n, 656, '{APPROVED,APPROVED,APPROVED,APPROVED,APPROVED,SUBMITTED,SUBMITTED,AMENDED,
REJECTED,DISPUTED}'::text[]) end) s(status)
where p.delivered;
