module penstock.bench/peer

go 1.19
