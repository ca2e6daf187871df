-- Helpers of the loader, in a schema of their own that is dropped at the end.
--
-- Every value is a function of its row number: the same scale gives the same rows on any machine.
-- Functions are single expressions, marked no stricter than what they call, so that the planner
-- inlines them: a call that is not inlined costs more than the work it does.

create schema gen;

-- A non-negative number that looks random, from a row number and the purpose (salt) it is for.
create function gen.h(n bigint, salt bigint) returns bigint language sql immutable as
$$ select hashint8extended(n, salt) & 9223372036854775807 $$;

create function gen.pick(n bigint, salt bigint, list text[]) returns text language sql immutable as
$$ select list[1 + (hashint8extended(n, salt) & 9223372036854775807) % cardinality(list)] $$;

create function gen.below(n bigint, salt bigint, bound bigint) returns int language sql immutable as
$$ select ((hashint8extended(n, salt) & 9223372036854775807) % bound)::int $$;

-- Ids are version 5 uuids, so a reference is computed where it is needed instead of looked up.
create function gen.id(kind text, n bigint) returns uuid language sql stable as
$$ select public.uuid_generate_v5('6f1b7c1e-5a0d-5d6b-9a55-ca2ec0330055', kind || n) $$;

create function gen.sha256(seed text) returns text language sql stable as
$$ select encode(sha256(seed::bytea), 'hex') $$;

-- "Now" of the sample. Nothing but the credential trigger looks at the real clock.
create function gen.today() returns date language sql immutable as $$ select date '2025-11-01' $$;

create function gen.first_name(n bigint) returns text language sql stable as
$$ select gen.pick(n, 101, '{Maria,James,Zoë,Ruth,José,Helen,Robert,Siân,Dorothy,Walter,Nadia,
     Eleanor,Frank,Renée,Gloria,Harold,Łukasz,Irene,Samuel,Beatriz,Clara,Đức,Margaret,Leon,Agnès,
     Patricia,Thomas,Rosa,Yusuf,Evelyn,Søren,Grace,Arthur,Amara,Jürgen,Lillian,Ernest,Chidi,Vera,
     Mateo,Olga,Kwame,Edith,Tomás,Judith,Ravi,Florence,Hiroshi,Norma,Anaïs,Louis,Joyce,Ibrahim,
     Doris,Peter,Ximena,George,Priya,Alice,Víctor,Betty,Omar,Carmen,Stanley}'::text[]) $$;

create function gen.last_name(n bigint) returns text language sql stable as
$$ select gen.pick(n, 102, '{Alvarez,Baker,Núñez,Carter,Müller,Dawson,Okafor,Ellis,Fitzgerald,
     Nguyễn,Garza,Haddad,Ibáñez,Jackson,Kowalski,Lindström,Martinez,O''Connor,Patel,Quinn,Ramírez,
     Schmidt,Thompson,Ueda,Vasquez,Whitfield,Yılmaz,Zhang,Abernathy,Brooks,Castañeda,Delgado,
     Eriksen,Freeman,Gómez,Hughes,Ito,Jensen,Kaur,Lefèvre,Morales,Novák,Osei,Peterson,Rosenberg,
     Sánchez,Tran,Underwood,Villarreal,Washington,Young,Zamora,Bergström,Cho,Dubois,Espinoza,
     Foster,Guerrero,Hoang,Ivanova,Johansson,Kim,Lopez,McAllister,Mbeki,Petrović,Reyes,
     Sullivan}'::text[]) $$;

create function gen.street(n bigint) returns text language sql stable as
$$ select (100 + gen.below(n, 103, 9800)) || ' ' || gen.pick(n, 104, '{Oak Hollow,Cedar Bend,
     Mesquite,Bluebonnet,Live Oak,San Marcos,Willow Creek,Magnolia,Pecan Grove,Cottonwood,Juniper,
     Limestone,Prairie View,Sunset Ridge,Wildflower,Stone Bridge,Old Mill,Fairview,Hidden Valley,
     Canyon Rim,Quail Run,Heron Lake,Meadowlark,Redbud,Peach Tree,Agarita,Windmill,Cypress,
     Paseo del Río,Chaparral}'::text[])
   || ' ' || gen.pick(n, 105, '{St,Ave,Dr,Ln,Rd,Ct,Blvd,Way,Trail}'::text[]) $$;

-- 555-0100 to 555-0199 are reserved for fiction.
create function gen.phone(n bigint) returns text language sql stable as
$$ select gen.pick(n, 106, '{512,214,713,210,817,915,361,806}'::text[]) || '-555-01'
   || lpad(gen.below(n, 107, 100)::text, 2, '0') $$;

-- Addresses of networks reserved for documentation (RFC 5737, RFC 3849).
create function gen.ip(n bigint) returns text language sql stable as
$$ select case gen.below(n, 108, 5)
   when 0 then '192.0.2.' || gen.below(n, 109, 254)
   when 1 then '2001:db8:' || to_hex(gen.below(n, 109, 65536)) || '::' || to_hex(gen.below(n, 110, 4096))
   when 2 then '203.0.113.' || gen.below(n, 109, 254)
   else '198.51.100.' || gen.below(n, 109, 254) end $$;

create function gen.device(n bigint) returns text language sql stable as
$$ select gen.pick(n, 111, '{Pixel 7a,Pixel 8,Galaxy A54,Galaxy S23,Galaxy A15,Galaxy A25,
     Pixel 6a,Pixel 9,Nord CE 4,Moto G Power,Moto G 5G,Nord N30,Galaxy Tab A9}'::text[]) $$;

create function gen.user_agent(n bigint) returns text language sql stable as
$$ select case when gen.below(n, 112, 3) = 0
   then 'CareCommonsMobile/2.' || gen.below(n, 113, 9) || '.' || gen.below(n, 114, 20) || ' ('
        || gen.device(n) || '; Android ' || (12 + gen.below(n, 115, 4)) || ')'
   else 'Mozilla/5.0 (' || gen.pick(n, 116, '{Windows NT 10.0; Win64; x64,
     Macintosh; Intel Mac OS X 10_15_7,X11; Linux x86_64,X11; CrOS x86_64 14541.0.0}'::text[])
        || ') AppleWebKit/537.36 (KHTML, like Gecko) Chrome/' || (118 + gen.below(n, 117, 14))
        || '.0.0.0 Safari/537.36' end $$;

create function gen.service_code(n bigint) returns text language sql stable as
$$ select gen.pick(n, 118, '{PCS,HHA,SNV,RESP,COMP,PT,MEAL,CLS}'::text[]) $$;

create function gen.service_name(n bigint) returns text language sql stable as
$$ select gen.pick(n, 118, '{Personal Care,Home Health Aide,Skilled Nursing Visit,Respite Care,
     Companion Care,Physical Therapy,Meal Preparation,Community Living Support}'::text[]) $$;

-- A visit note of one to seven sentences: long enough lists, and numbers in between, for a
-- compressor to find about as much to shorten as in notes that people typed.
create function gen.note(n bigint, salt bigint) returns text language sql stable as
$$ select concat_ws(' ',
   gen.pick(n, salt, '{Arrived on time and was greeted at the door.,
     Client was awake and in good spirits.,Client was resting in the recliner on arrival.,
     Daughter was present for the first half hour.,Arrived to find client already dressed.,
     Client reported a poor night''s sleep.,Neighbor let me in because client was on the phone.,
     Client said the knee is bothering her again.,
     Son called during the visit to ask about the schedule.,Client was watching the morning news.,
     Found client in bed and a little confused about the day.,
     Client had finished breakfast before I came.,House was quiet; client was reading.,
     Client asked to start later next week.,Visit began ten minutes late because of traffic.,
     Client greeted me in Spanish: «buenos días».}'::text[]),
   gen.pick(n, salt + 1, '{Assisted with shower and hair care.,
     Assisted with partial bed bath and oral care.,
     Helped client dress and put on compression stockings.,
     Prepared oatmeal with fruit and a cup of decaf café au lait.,
     Reminded client to take morning medication from the organizer.,
     Walked to the mailbox and back with the walker.,
     Did range-of-motion exercises as listed in the plan.,
     Changed bed linens and started a load of laundry.,
     Prepared chicken soup and cut vegetables for dinner.,
     Assisted with transfer from bed to wheelchair.,Swept the kitchen and took out the trash.,
     Helped client write a letter to her sister.,Accompanied client to the pharmacy.,
     Checked skin on heels and lower back.,Assisted with toileting twice.,
     Tidied the bathroom and replaced towels.}'::text[]),
   case when gen.below(n, salt + 2, 10) < 7 then 'BP ' || (104 + gen.below(n, salt + 3, 52)) || '/'
     || (58 + gen.below(n, salt + 4, 34)) || ', pulse ' || (56 + gen.below(n, salt + 5, 44)) || ', temp '
     || (97 + gen.below(n, salt + 6, 3)) || '.' || gen.below(n, salt + 6, 10) || ' °F.' end,
   case when gen.below(n, salt + 7, 10) < 6 then gen.pick(n, salt + 8, '{
     Client ate about half of the meal.,Client ate everything and asked for more.,
     Appetite was low; offered a nutrition shake.,Fluids encouraged; about 16 oz taken.,
     Client declined the walk because of pain.,No shortness of breath seen.,
     Mild swelling in left ankle; reported to nurse.,Mood improved as the visit went on.,
     Client was steady on the walker today.,Needed two rests on the way to the kitchen.,
     Small bruise on right forearm; client does not recall a bump.,
     Client was able to stand with one person assisting.}'::text[]) end,
   case when gen.below(n, salt + 9, 10) < 5 then gen.pick(n, salt + 10, '{
     We looked through family photos.,Played dominoes for a while.,
     Client talked about growing up on the farm.,We did the crossword together.,
     Listened to records: boleros and some Édith Piaf.,Client napped for twenty minutes.,
     We called the clinic to move the Thursday appointment.,
     Groceries put away; milk is running low.,Watered the plants on the porch.,
     Client practiced the breathing exercises.}'::text[]) end,
   case when gen.below(n, salt + 11, 10) < 3 then 'Pain reported as ' || gen.below(n, salt + 12, 9)
     || ' of 10 in the ' || gen.pick(n, salt + 13, '{left hip,right knee,lower back,
     right shoulder,neck,left hand,both feet}'::text[]) 
     || '; ' || gen.pick(n, salt + 14, '{office notified,no change since last visit,better after rest,
     family aware,warm pack applied,will watch it}'::text[]) || '.' end,
   case when gen.below(n, salt + 15, 10) < 8 then gen.pick(n, salt + 16, '{
     Left client comfortable with the call button in reach.,No concerns at the end of the visit.,
     Client thanked me and locked the door.,Reminded client of tomorrow''s visit.,
     Walker and phone left beside the chair.,All planned tasks done.,
     Could not finish laundry; left a note for the next aide.,
     Door locked and lights left on as requested.,Client said she looks forward to Friday.,
     Will bring the new gloves next time.}'::text[]) end)
$$;

-- Where branches and their clients are. Coordinates are a city's centre, scattered per client.
create table gen.city (no int, name text, state text, county text, zip int, lat numeric, lon numeric);
insert into gen.city values
    (1, 'Austin', 'TX', 'Travis', 78701, 30.2672, -97.7431),
    (2, 'San Antonio', 'TX', 'Bexar', 78201, 29.4241, -98.4936),
    (3, 'Houston', 'TX', 'Harris', 77001, 29.7604, -95.3698),
    (4, 'Dallas', 'TX', 'Dallas', 75201, 32.7767, -96.7970),
    (5, 'Fort Worth', 'TX', 'Tarrant', 76101, 32.7555, -97.3308),
    (6, 'Waco', 'TX', 'McLennan', 76701, 31.5493, -97.1467),
    (7, 'Corpus Christi', 'TX', 'Nueces', 78401, 27.8006, -97.3964),
    (8, 'Lubbock', 'TX', 'Lubbock', 79401, 33.5779, -101.8552),
    (9, 'Laredo', 'TX', 'Webb', 78040, 27.5306, -99.4803),
    (10, 'Tyler', 'TX', 'Smith', 75701, 32.3513, -95.3011);
