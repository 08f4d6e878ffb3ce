create table person (row_no integer primary key, id text unique, name text, born text, sex text, district text, height real, visits integer, balance text, active integer, tags text, extra text, secret text, updated_at text, household_number text);
insert into person values
  (1, '100', '张伟', '1990-05-17', 'MALE', 'north', 1.75, 3, '10.50', 1, '["a","b"]', '{"k":[1,2]}', 'canary-1', '2026-11-23T08:00:00Z', 'h1'),
  (2, '101', '欧阳小明', '1985-02-28', 'FEMALE', 'south', 1.0, null, '-0.10', 0, '[]', null, 'canary-2', '2026-11-23T09:30:00Z', 'h2'),
  (3, '102', null, null, null, 'north', 1e21, -7, null, null, null, 'null', null, '2026-11-22T00:00:00Z', 'h1'),
  (4, '103', 'quote " and \', '2001-12-31', 'MALE', null, 1e-7, 2147483647, '123456789012345678901234567890.12', 1, '["x\"y"]', '"s"', 'canary-4', '2026-11-21T00:00:00Z', null);
create table household (row_no integer primary key, number text unique, district text);
insert into household values (1, 'h1', 'north'), (2, 'h2', 'south');
create table permit (row_no integer primary key, number text unique, holder text, issued text);
insert into permit values
  (1, 'p1', '100', '2026-01-01T00:00:00Z'), (2, 'p2', '100', '2026-03-01T00:00:00Z'), (3, 'p3', '101', '2026-02-01T00:00:00Z'),
  (4, 'p4', '100', '2026-02-01T00:00:00.5Z'), (5, 'p5', '100', null);
