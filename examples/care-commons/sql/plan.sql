-- The plan both visits and verification records are written from: visit n's client, caregiver, day
-- and times. It is a function of n, so the two tables agree without one reading the other.

create function gen.service_id(n bigint) returns uuid language sql stable as
$$ select gen.id('service', gen.below(n, 118, 8)) $$;

-- "offset 0" keeps the planner from merging the levels, which would compute each hash many times.
create function gen.visit_plan(lo bigint, hi bigint, visits bigint, clients bigint, caregivers bigint,
    organizations bigint)
returns table (n bigint, client_no bigint, caregiver_no bigint, day date, planned time, minutes int,
    clock_in timestamptz, clock_out timestamptz, worked int, booked timestamptz, status text,
    delivered boolean)
language sql stable as $$
    select b.n, b.client_no,
        -- a caregiver of the client's organization: the one who usually comes, or any other
        1 + (b.client_no - 1) % organizations + organizations * (
            case when gen.below(b.n, 803, 10) < 7 then b.client_no / organizations
                 else gen.h(b.n, 804) end % (caregivers / organizations)),
        b.day, b.planned, b.minutes,
        case when b.delivered then b.clock_in end,
        case when b.delivered then b.clock_in + b.worked * interval '1 second' end,
        case when b.delivered then b.worked end,
        (b.day - 9 - gen.below(b.n, 805, 12))::timestamp at time zone 'UTC'
            + gen.below(b.n, 806, 32400) * interval '1 second' + interval '14 hours',
        b.status, b.delivered
    from (
        select a.*, a.status in ('COMPLETED', 'INCOMPLETE') as delivered,
            (a.day + a.planned) at time zone 'America/Chicago'
                + (gen.below(a.n, 807, 1200) - 420) * interval '1 second' as clock_in,
            a.minutes * 60 + gen.below(a.n, 808, 900) - 400 as worked
        from (
            select s.n, 1 + gen.h(s.n, 800) % clients as client_no, d.day,
                time '06:00' + gen.below(s.n, 801, 48) * interval '15 minutes' as planned,
                (gen.pick(s.n, 802, '{30,45,60,60,90,120,120,180,240}'::text[]))::int as minutes,
                case when d.day <= gen.today() then
                    case gen.below(s.n, 809, 100) when 0 then 'CANCELLED' when 1 then 'CANCELLED'
                        when 2 then 'CANCELLED' when 3 then 'NO_SHOW_CLIENT'
                        when 4 then 'NO_SHOW_CAREGIVER' when 5 then 'INCOMPLETE' else 'COMPLETED' end
                else gen.pick(s.n, 810, '{SCHEDULED,SCHEDULED,CONFIRMED,ASSIGNED,UNASSIGNED}'::text[])
                end as status
            from generate_series(lo, hi) s(n)
            cross join lateral (select gen.today() - 365 + ((s.n - 1) * 379 / visits)::int) d(day)
            offset 0
        ) a
        offset 0
    ) b
    offset 0
$$;

create function gen.verification(n bigint, salt bigint, at timestamptz, lat numeric, lon numeric,
    device_id text, model text, os text)
returns jsonb language sql stable as $$
    select jsonb_build_object('timestamp', at, 'method', 'GPS',
        'latitude', lat + (gen.below(n, salt, 2400) - 1200) * 0.000001,
        'longitude', lon + (gen.below(n, salt + 1, 2400) - 1200) * 0.000001,
        'accuracy', 3 + gen.below(n, salt + 2, 420) * 0.1,
        'distanceFromAddress', gen.below(n, salt + 4, 1490) * 0.1,
        'isWithinGeofence', true, 'verificationPassed', gen.below(n, salt + 5, 40) > 0,
        'device', jsonb_build_object('id', device_id, 'model', model, 'os', os,
            'appVersion', '2.' || gen.below(n, salt + 6, 3) || '.' || gen.below(n, salt + 7, 12),
            'batteryLevel', 8 + gen.below(n, salt + 8, 92), 'isRooted', false),
        'network', jsonb_build_object('type', gen.pick(n, salt + 9, '{4G,5G,WIFI}'::text[]),
            'signalStrength', -50 - gen.below(n, salt + 10, 60), 'ip', gen.ip(n + salt)),
        'biometric', case when gen.below(n, salt + 11, 5) = 0 then jsonb_build_object(
            'method', 'FINGERPRINT', 'confidence', 90 + gen.below(n, salt + 12, 100) * 0.1) end)
$$;
