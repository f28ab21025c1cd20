package consultation

// bankHolidays are the bank holidays of the United Kingdom that fall on Mondays to Fridays: date, nations (E England and
// Wales, S Scotland, N Northern Ireland) and name. A holiday on a weekend is kept on its substitute day, as
// https://www.gov.uk/bank-holidays lists it. Years that are not announced yet follow from Schedule 1 of the Banking and
// Financial Dealings Act 1971 (https://www.legislation.gov.uk/ukpga/1971/80/schedule/1) with Good Friday and Christmas Day, which
// are holidays by common law, and lack what will be proclaimed.
const bankHolidays = `2022-01-03 ENS New Year’s Day (substitute day)
2022-01-04 S 2nd January (substitute day)
2022-03-17 N St Patrick’s Day
2022-04-15 ENS Good Friday
2022-04-18 EN Easter Monday
2022-05-02 ENS Early May bank holiday
2022-06-02 ENS Spring bank holiday
2022-06-03 ENS Platinum Jubilee bank holiday
2022-07-12 N Battle of the Boyne (Orangemen’s Day)
2022-08-01 S Summer bank holiday
2022-08-29 EN Summer bank holiday
2022-09-19 ENS State Funeral of Queen Elizabeth II
2022-11-30 S St Andrew’s Day
2022-12-26 ENS Boxing Day
2022-12-27 ENS Christmas Day (substitute day)
2023-01-02 ENS New Year’s Day (substitute day)
2023-01-03 S 2nd January (substitute day)
2023-03-17 N St Patrick’s Day
2023-04-07 ENS Good Friday
2023-04-10 EN Easter Monday
2023-05-01 ENS Early May bank holiday
2023-05-08 ENS Coronation of King Charles III
2023-05-29 ENS Spring bank holiday
2023-07-12 N Battle of the Boyne (Orangemen’s Day)
2023-08-07 S Summer bank holiday
2023-08-28 EN Summer bank holiday
2023-11-30 S St Andrew’s Day
2023-12-25 ENS Christmas Day
2023-12-26 ENS Boxing Day
2024-01-01 ENS New Year’s Day
2024-01-02 S 2nd January
2024-03-18 N St Patrick’s Day (substitute day)
2024-03-29 ENS Good Friday
2024-04-01 EN Easter Monday
2024-05-06 ENS Early May bank holiday
2024-05-27 ENS Spring bank holiday
2024-07-12 N Battle of the Boyne (Orangemen’s Day)
2024-08-05 S Summer bank holiday
2024-08-26 EN Summer bank holiday
2024-12-02 S St Andrew’s Day (substitute day)
2024-12-25 ENS Christmas Day
2024-12-26 ENS Boxing Day
2025-01-01 ENS New Year’s Day
2025-01-02 S 2nd January
2025-03-17 N St Patrick’s Day
2025-04-18 ENS Good Friday
2025-04-21 EN Easter Monday
2025-05-05 ENS Early May bank holiday
2025-05-26 ENS Spring bank holiday
2025-07-14 N Battle of the Boyne (Orangemen’s Day) (substitute day)
2025-08-04 S Summer bank holiday
2025-08-25 EN Summer bank holiday
2025-12-01 S St Andrew’s Day (substitute day)
2025-12-25 ENS Christmas Day
2025-12-26 ENS Boxing Day
2026-01-01 ENS New Year’s Day
2026-01-02 S 2nd January
2026-03-17 N St Patrick’s Day
2026-04-03 ENS Good Friday
2026-04-06 EN Easter Monday
2026-05-04 ENS Early May bank holiday
2026-05-25 ENS Spring bank holiday
2026-06-15 S World Cup bank holiday
2026-07-13 N Battle of the Boyne (Orangemen’s Day) (substitute day)
2026-08-03 S Summer bank holiday
2026-08-31 EN Summer bank holiday
2026-11-30 S St Andrew’s Day
2026-12-25 ENS Christmas Day
2026-12-28 ENS Boxing Day (substitute day)
2027-01-01 ENS New Year’s Day
2027-01-04 S 2nd January (substitute day)
2027-03-17 N St Patrick’s Day
2027-03-26 ENS Good Friday
2027-03-29 EN Easter Monday
2027-05-03 ENS Early May bank holiday
2027-05-31 ENS Spring bank holiday
2027-07-12 N Battle of the Boyne (Orangemen’s Day)
2027-08-02 S Summer bank holiday
2027-08-30 EN Summer bank holiday
2027-11-30 S St Andrew’s Day
2027-12-27 ENS Christmas Day (substitute day)
2027-12-28 ENS Boxing Day (substitute day)
2028-01-03 ENS New Year’s Day (substitute day)
2028-01-04 S 2nd January (substitute day)
2028-03-17 N St Patrick’s Day
2028-04-14 ENS Good Friday
2028-04-17 EN Easter Monday
2028-05-01 ENS Early May bank holiday
2028-05-29 ENS Spring bank holiday
2028-07-12 N Battle of the Boyne (Orangemen’s Day)
2028-08-07 S Summer bank holiday
2028-08-28 EN Summer bank holiday
2028-11-30 S St Andrew’s Day
2028-12-25 ENS Christmas Day
2028-12-26 ENS Boxing Day
2029-01-01 ENS New Year’s Day
2029-01-02 S 2nd January
2029-03-19 N St Patrick’s Day (substitute day)
2029-03-30 ENS Good Friday
2029-04-02 EN Easter Monday
2029-05-07 ENS Early May bank holiday
2029-05-28 ENS Spring bank holiday
2029-07-12 N Battle of the Boyne (Orangemen’s Day)
2029-08-06 S Summer bank holiday
2029-08-27 EN Summer bank holiday
2029-11-30 S St Andrew’s Day
2029-12-25 ENS Christmas Day
2029-12-26 ENS Boxing Day
2030-01-01 ENS New Year’s Day
2030-01-02 S 2nd January
2030-03-18 N St Patrick’s Day (substitute day)
2030-04-19 ENS Good Friday
2030-04-22 EN Easter Monday
2030-05-06 ENS Early May bank holiday
2030-05-27 ENS Spring bank holiday
2030-07-12 N Battle of the Boyne (Orangemen’s Day)
2030-08-05 S Summer bank holiday
2030-08-26 EN Summer bank holiday
2030-12-02 S St Andrew’s Day (substitute day)
2030-12-25 ENS Christmas Day
2030-12-26 ENS Boxing Day`
