package ucum

// definitions holds the units of UCUM 2.2 of 2024-06-17, one a line: code, whether
// it takes prefixes, value, unit that the value counts, rule. A unit of rule base
// or own is a dimension of its own; the other rules are those of [scaleOf], and
// number marks what a scale can be multiplied by without becoming a difference.
//
// UCUM derives [pH] and the homeopathic potencies [hp'_X] to [hp'_Q] from
// decreasing functions, and [m/s2/Hz^(1/2)] from one that has no sign. They are
// dimensions of their own here, so that more stays more.
const definitions = `
m metric base
s metric base
g metric base
rad metric base
K metric base
C metric base
cd metric base
10* - 10 1 number
10^ - 10 1 number
[pi] - 3.1415926535897932384626433832795028841971693993751058209749445923 1
% - 1 10*-2
[ppth] - 1 10*-3
[ppm] - 1 10*-6
[ppb] - 1 10*-9
[pptr] - 1 10*-12
mol metric 6.02214076 10*23
sr metric 1 rad2
Hz metric 1 s-1
N metric 1 kg.m/s2
Pa metric 1 N/m2
J metric 1 N.m
W metric 1 J/s
A metric 1 C/s
V metric 1 J/C
F metric 1 C/V
Ohm metric 1 V/A
S metric 1 Ohm-1
Wb metric 1 V.s
Cel metric 1 K celsius
T metric 1 Wb/m2
H metric 1 Wb/A
lm metric 1 cd.sr
lx metric 1 lm/m2
Bq metric 1 s-1
Gy metric 1 J/kg
Sv metric 1 J/kg
gon - 0.9 deg
deg - 2 [pi].rad/360
' - 1 deg/60
'' - 1 '/60
l metric 1 dm3
L metric 1 l
ar metric 100 m2
min - 60 s
h - 60 min
d - 24 h
a_t - 365.24219 d
a_j - 365.25 d
a_g - 365.2425 d
a - 1 a_j
wk - 7 d
mo_s - 29.53059 d
mo_j - 1 a_j/12
mo_g - 1 a_g/12
mo - 1 mo_j
t metric 1e3 kg
bar metric 1e5 Pa
u metric 1.66053906660e-24 g
eV metric 1 [e].V
AU - 149597.870691 Mm
pc metric 3.085678e16 m
[c] metric 299792458 m/s
[h] metric 6.62607015e-34 J.s
[k] metric 1.380649e-23 J/K
[eps_0] metric 8.854187817e-12 F/m
[mu_0] metric 1 4.[pi].10*-7.N/A2
[e] metric 1.602176634e-19 C
[m_e] metric 9.1093837139e-31 kg
[m_p] metric 1.67262192595e-27 kg
[G] metric 6.67430e-11 m3.kg-1.s-2
[g] metric 980665e-5 m/s2
atm - 101325 Pa
[ly] metric 1 [c].a_j
gf metric 1 g.[g]
[lbf_av] - 1 [lb_av].[g]
Ky metric 1 cm-1
Gal metric 1 cm/s2
dyn metric 1 g.cm/s2
erg metric 1 dyn.cm
P metric 1 dyn.s/cm2
Bi metric 10 A
St metric 1 cm2/s
Mx metric 1e-8 Wb
G metric 1e-4 T
Oe metric 250 /[pi].A/m
Gb metric 1 Oe.cm
sb metric 1 cd/cm2
Lmb metric 1 cd/cm2/[pi]
ph metric 1e-4 lx
Ci metric 37e9 Bq
R metric 2.58e-4 C/kg
RAD metric 100 erg/g
REM metric 1 RAD
[in_i] - 254e-2 cm
[ft_i] - 12 [in_i]
[yd_i] - 3 [ft_i]
[mi_i] - 5280 [ft_i]
[fth_i] - 6 [ft_i]
[nmi_i] - 1852 m
[kn_i] - 1 [nmi_i]/h
[sin_i] - 1 [in_i]2
[sft_i] - 1 [ft_i]2
[syd_i] - 1 [yd_i]2
[cin_i] - 1 [in_i]3
[cft_i] - 1 [ft_i]3
[cyd_i] - 1 [yd_i]3
[bf_i] - 144 [in_i]3
[cr_i] - 128 [ft_i]3
[mil_i] - 1e-3 [in_i]
[cml_i] - 1 [pi]/4.[mil_i]2
[hd_i] - 4 [in_i]
[ft_us] - 1200 m/3937
[yd_us] - 3 [ft_us]
[in_us] - 1 [ft_us]/12
[rd_us] - 16.5 [ft_us]
[ch_us] - 4 [rd_us]
[lk_us] - 1 [ch_us]/100
[rch_us] - 100 [ft_us]
[rlk_us] - 1 [rch_us]/100
[fth_us] - 6 [ft_us]
[fur_us] - 40 [rd_us]
[mi_us] - 8 [fur_us]
[acr_us] - 160 [rd_us]2
[srd_us] - 1 [rd_us]2
[smi_us] - 1 [mi_us]2
[sct] - 1 [mi_us]2
[twp] - 36 [sct]
[mil_us] - 1e-3 [in_us]
[in_br] - 2.539998 cm
[ft_br] - 12 [in_br]
[rd_br] - 16.5 [ft_br]
[ch_br] - 4 [rd_br]
[lk_br] - 1 [ch_br]/100
[fth_br] - 6 [ft_br]
[pc_br] - 2.5 [ft_br]
[yd_br] - 3 [ft_br]
[mi_br] - 5280 [ft_br]
[nmi_br] - 6080 [ft_br]
[kn_br] - 1 [nmi_br]/h
[acr_br] - 4840 [yd_br]2
[gal_us] - 231 [in_i]3
[bbl_us] - 42 [gal_us]
[qt_us] - 1 [gal_us]/4
[pt_us] - 1 [qt_us]/2
[gil_us] - 1 [pt_us]/4
[foz_us] - 1 [gil_us]/4
[fdr_us] - 1 [foz_us]/8
[min_us] - 1 [fdr_us]/60
[crd_us] - 128 [ft_i]3
[bu_us] - 2150.42 [in_i]3
[gal_wi] - 1 [bu_us]/8
[pk_us] - 1 [bu_us]/4
[dqt_us] - 1 [pk_us]/8
[dpt_us] - 1 [dqt_us]/2
[tbs_us] - 1 [foz_us]/2
[tsp_us] - 1 [tbs_us]/3
[cup_us] - 16 [tbs_us]
[foz_m] - 30 mL
[cup_m] - 240 mL
[tsp_m] - 5 mL
[tbs_m] - 15 mL
[gal_br] - 4.54609 l
[pk_br] - 2 [gal_br]
[bu_br] - 4 [pk_br]
[qt_br] - 1 [gal_br]/4
[pt_br] - 1 [qt_br]/2
[gil_br] - 1 [pt_br]/4
[foz_br] - 1 [gil_br]/5
[fdr_br] - 1 [foz_br]/8
[min_br] - 1 [fdr_br]/60
[gr] - 64.79891 mg
[lb_av] - 7000 [gr]
[oz_av] - 1 [lb_av]/16
[dr_av] - 1 [oz_av]/16
[scwt_av] - 100 [lb_av]
[lcwt_av] - 112 [lb_av]
[ston_av] - 20 [scwt_av]
[lton_av] - 20 [lcwt_av]
[stone_av] - 14 [lb_av]
[pwt_tr] - 24 [gr]
[oz_tr] - 20 [pwt_tr]
[lb_tr] - 12 [oz_tr]
[sc_ap] - 20 [gr]
[dr_ap] - 3 [sc_ap]
[oz_ap] - 8 [dr_ap]
[lb_ap] - 12 [oz_ap]
[oz_m] - 28 g
[lne] - 1 [in_i]/12
[pnt] - 1 [lne]/6
[pca] - 12 [pnt]
[pnt_pr] - 0.013837 [in_i]
[pca_pr] - 12 [pnt_pr]
[pied] - 32.48 cm
[pouce] - 1 [pied]/12
[ligne] - 1 [pouce]/12
[didot] - 1 [ligne]/6
[cicero] - 12 [didot]
[degF] - 5 K/9 fahrenheit
[degR] - 5 K/9
[degRe] - 5 K/4 reaumur
cal_[15] metric 4.18580 J
cal_[20] metric 4.18190 J
cal_m metric 4.19002 J
cal_IT metric 4.1868 J
cal_th metric 4.184 J
cal metric 1 cal_th
[Cal] - 1 kcal_th
[Btu_39] - 1.05967 kJ
[Btu_59] - 1.05480 kJ
[Btu_60] - 1.05468 kJ
[Btu_m] - 1.05587 kJ
[Btu_IT] - 1.05505585262 kJ
[Btu_th] - 1.054350 kJ
[Btu] - 1 [Btu_th]
[HP] - 550 [ft_i].[lbf_av]/s
tex metric 1 g/km
[den] - 1 g/9/km
m[H2O] metric 980665e-5 kPa
m[Hg] metric 133.3220 kPa
[in_i'H2O] - 1 m[H2O].[in_i]/m
[in_i'Hg] - 1 m[Hg].[in_i]/m
[PRU] - 1 mm[Hg].s/ml
[wood'U] - 1 mm[Hg].min/L
[diop] - 1 /m
[p'diop] - 1 rad slope
%[slope] - 1 rad slope
[mesh_i] - 1 /[in_i]
[Ch] - 1 mm/3
[drp] - 1 ml/20
[hnsf'U] - 1 1
[MET] - 3.5 mL/min/kg
[hp'_X] - own
[hp'_C] - own
[hp'_M] - own
[hp'_Q] - own
[hp_X] - own
[hp_C] - own
[hp_M] - own
[hp_Q] - own
[kp_X] - own
[kp_C] - own
[kp_M] - own
[kp_Q] - own
eq metric 1 mol
osm metric 1 mol
[pH] - own
g% metric 1 g/dl
[S] - 1 10*-13.s
[HPF] - 1 1
[LPF] - 100 1
kat metric 1 mol/s
U metric 1 umol/min
[iU] metric own
[IU] metric 1 [iU]
[arb'U] - own
[USP'U] - own
[GPL'U] - own
[MPL'U] - own
[APL'U] - own
[beth'U] - own
[anti'Xa'U] - own
[todd'U] - own
[dye'U] - own
[smgy'U] - own
[bdsk'U] - own
[ka'U] - own
[knk'U] - own
[mclg'U] - own
[tb'U] - own
[CCID_50] - own
[TCID_50] - own
[EID_50] - own
[PFU] - own
[FFU] - own
[CFU] - own
[IR] - own
[BAU] - own
[AU] - own
[Amb'a'1'U] - own
[PNU] - own
[Lf] - own
[D'ag'U] - own
[FEU] - own
[ELU] - own
[EU] - own
Np metric 1 1 ln
B metric 1 1 lg
B[SPL] metric 2 10*-5.Pa lg2
B[V] metric 1 V lg2
B[mV] metric 1 mV lg2
B[uV] metric 1 uV lg2
B[10.nV] metric 10 nV lg2
B[W] metric 1 W lg
B[kW] metric 1 kW lg
st metric 1 m3
Ao - 0.1 nm
b - 100 fm2
att - 1 kgf/cm2
mho metric 1 S
[psi] - 1 [lbf_av]/[in_i]2
circ - 2 [pi].rad
sph - 4 [pi].sr
[car_m] - 2e-1 g
[car_Au] - 1 /24
[smoot] - 67 [in_i]
[m/s2/Hz^(1/2)] - own
[NTU] - 1 1
[FNU] - 1 1
bit_s - 1 1 ld
bit metric 1 1
By metric 8 bit
Bd metric 1 /s
`
