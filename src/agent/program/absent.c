/* What GnuTLS refers to and a static agent has not: smart cards (p11-kit, which Debian has as a shared library alone),
 * host names beyond ASCII (libidn2) and the normal form of passwords (libunistring: 2 MB of tables). It asks for none
 * of them unless it is given such names, keys with passwords, or "pkcs11:" for a file, and then hears that it failed. */

/* Most agents speak no TLS: GnuTLS begins when util/tls.c asks it to (GNUTLS_SKIP_GLOBAL_INIT). */
int _gnutls_global_init_skip(void);
int _gnutls_global_init_skip(void)
{
	return 1;
}

/* What answers with a pointer or a number of things. */
#define ABSENT(name)      \
	long name(void);  \
	long name(void)   \
	{                 \
		return 0; \
	}
/* What answers with a code, of which 0 were success. */
#define FAILING(name)      \
	int name(void);    \
	int name(void)     \
	{                  \
		return -1; \
	}

/* clang-format off */
ABSENT(UC_CATEGORY_Cc)
ABSENT(UC_CATEGORY_Ll)
ABSENT(UC_CATEGORY_Lm)
ABSENT(UC_CATEGORY_Lo)
ABSENT(UC_CATEGORY_Lt)
ABSENT(UC_CATEGORY_Lu)
ABSENT(UC_CATEGORY_Mc)
ABSENT(UC_CATEGORY_Me)
ABSENT(UC_CATEGORY_Mn)
ABSENT(UC_CATEGORY_Nd)
ABSENT(UC_CATEGORY_Nl)
ABSENT(UC_CATEGORY_No)
ABSENT(UC_CATEGORY_Pc)
ABSENT(UC_CATEGORY_Pd)
ABSENT(UC_CATEGORY_Pe)
ABSENT(UC_CATEGORY_Pf)
ABSENT(UC_CATEGORY_Pi)
ABSENT(UC_CATEGORY_Po)
ABSENT(UC_CATEGORY_Ps)
ABSENT(UC_CATEGORY_Sc)
ABSENT(UC_CATEGORY_Sk)
ABSENT(UC_CATEGORY_Sm)
ABSENT(UC_CATEGORY_So)
ABSENT(UC_CATEGORY_Zs)
ABSENT(idn2_free)
ABSENT(idn2_strerror)
ABSENT(p11_kit_config_option)
ABSENT(p11_kit_message)
ABSENT(p11_kit_module_finalize)
ABSENT(p11_kit_module_get_flags)
ABSENT(p11_kit_module_get_name)
ABSENT(p11_kit_module_load)
ABSENT(p11_kit_module_release)
ABSENT(p11_kit_modules_load)
ABSENT(p11_kit_pin_file_callback)
ABSENT(p11_kit_pin_get_length)
ABSENT(p11_kit_pin_get_value)
ABSENT(p11_kit_pin_new_for_string)
ABSENT(p11_kit_pin_register_callback)
ABSENT(p11_kit_pin_request)
ABSENT(p11_kit_pin_unref)
ABSENT(p11_kit_pin_unregister_callback)
ABSENT(p11_kit_space_strdup)
ABSENT(p11_kit_space_strlen)
ABSENT(p11_kit_strerror)
ABSENT(p11_kit_uri_format)
ABSENT(p11_kit_uri_free)
ABSENT(p11_kit_uri_get_attribute)
ABSENT(p11_kit_uri_get_attributes)
ABSENT(p11_kit_uri_get_module_info)
ABSENT(p11_kit_uri_get_pin_source)
ABSENT(p11_kit_uri_get_pin_value)
ABSENT(p11_kit_uri_get_token_info)
ABSENT(p11_kit_uri_match_module_info)
ABSENT(p11_kit_uri_match_token_info)
ABSENT(p11_kit_uri_new)
ABSENT(p11_kit_uri_parse)
ABSENT(p11_kit_uri_set_attribute)
ABSENT(u16_normalize)
ABSENT(u16_to_u8)
ABSENT(u32_normalize)
ABSENT(u32_to_u8)
ABSENT(u8_check)
ABSENT(u8_to_u16)
ABSENT(u8_to_u32)
ABSENT(uc_general_category_and_not)
ABSENT(uc_general_category_or)
ABSENT(uc_is_general_category)
ABSENT(uc_is_property_default_ignorable_code_point)
ABSENT(uc_is_property_join_control)
ABSENT(uc_is_property_not_a_character)
ABSENT(uninorm_nfc)
ABSENT(uninorm_nfkc)
FAILING(idn2_to_ascii_8z)
FAILING(idn2_to_unicode_8z8z)
