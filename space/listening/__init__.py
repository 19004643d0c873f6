"""A listening test: one page that plays Bach beside other pieces, blind, and the analysis of what listeners
answered.

Designed after BachBot (Liang et al., ISMIR 2017: forced choice between Bach and machine), DeepBach (Hadjeres
et al., ICML 2017: votes by musical training) and Yin et al., "Deep learning's shallow gains" (Machine
Learning 112, 2023: ratings, equivalence instead of failing to find a difference).
"""
