create table birth (row_no integer primary key, number text unique, holder text, mother text, issued text);
insert into birth values
  (1, 'b1', '102', '101', '2026-02-01T00:00:00Z'), (2, 'b2', '100', '103', '2026-02-01T00:00:00Z'), (3, 'b3', null, '101', null);
